"""One neural network, run by ncnn on the processor."""

from typing import Final, TypeAlias

import ncnn
import numpy as np
from numpy.typing import NDArray

from limner.models.realesrgan.catalogue import NetworkFacts, weight_files
from limner.models.realesrgan.tiling import Pixels, span

Planes: TypeAlias = NDArray[np.float32]
"""Channels x height x width; a colour is 0 to 1."""

_HEAD_PART: Final = 68
_HEAD_CONTEXT: Final = 2
"""The head sees less than two pixels around a point: three convolutions at 4 times the size, one at twice."""


class NetworkError(Exception):
    """ncnn could not load or run the network."""


class Network:
    """Enlarges pixels by ``factor``."""

    def __init__(self, facts: NetworkFacts, factor: int, threads: int) -> None:
        self.factor = facts.native_factor(factor)
        self._head_input = facts.head_input
        self._net = ncnn.Net()
        self._net.opt.use_vulkan_compute = False
        self._net.opt.num_threads = threads
        structure, weights = weight_files(facts.weights[self.factor])
        if self._net.load_param(str(structure)) or self._net.load_model(str(weights)):
            raise NetworkError("the weights can't be read")

    def enlarge(self, pixels: Pixels) -> Pixels:
        """Return the pixels, ``factor`` times as high and wide."""
        planes = np.ascontiguousarray(pixels.transpose(2, 0, 1), dtype=np.float32) / np.float32(255)
        larger = self._run_in_parts(planes) if self._head_input else self._extract("data", planes, "output")
        larger *= 255
        larger += 0.5
        return np.ascontiguousarray(larger.clip(0, 255, out=larger).astype(np.uint8).transpose(1, 2, 0))

    def _run_in_parts(self, planes: Planes) -> Planes:
        """Run the trunk on all, then the head, at ``factor`` times the size, on small parts of what it gave."""
        features = self._extract("data", planes, self._head_input)
        _, height, width = features.shape
        rows, columns = (span(length, _HEAD_PART, 2 * _HEAD_CONTEXT) for length in (height, width))
        larger = np.empty((3, height * self.factor, width * self.factor), dtype=np.float32)
        for top in rows.starts:
            for left in columns.starts:
                part = self._extract(
                    self._head_input, features[:, top : top + rows.size, left : left + columns.size], "output"
                )
                y, x = (self.factor * _HEAD_CONTEXT if start else 0 for start in (top, left))
                part = part[:, y:, x:]
                y, x = y + top * self.factor, x + left * self.factor
                larger[:, y : y + part.shape[1], x : x + part.shape[2]] = part
        return larger

    def _extract(self, source: str, planes: Planes, target: str) -> Planes:
        planes = np.ascontiguousarray(planes)  # ncnn.Mat borrows this memory: it must outlive the extractor
        extractor = self._net.create_extractor()
        extractor.input(source, ncnn.Mat(planes))
        code, result = extractor.extract(target)
        if code:
            raise NetworkError(f"ncnn ended with {code}")
        return np.asarray(result)  # a view, which keeps the result alive
