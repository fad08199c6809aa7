"""Compares the upscalers with calling ncnn directly on the same tiles, side by side in one run.

Run as ``python -m benchmarks.upscale [--size 256] [--rounds 3] [--network realesrgan-x4plus]``. The direct
way is what a script would do: decode, run each tile as a whole, put the results beside one another, encode.
Both run at the same priority; the weights are loaded before. The stall is processor time of the event loop's thread.
"""

import argparse
import asyncio
import io
import os
import statistics
import time
from pathlib import Path

import ncnn
import numpy as np
from PIL import Image, ImageFilter

from limner.domain.image import OutputFormat
from limner.models.realesrgan.catalogue import NETWORKS, NetworkFacts, weight_files
from limner.models.realesrgan.process import Upscale, UpscalerProcess
from limner.models.realesrgan.tiling import span

FACTOR = 4
BORDER = 8
"""As the tiling repeats around the picture."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--size", type=int, default=256, help="edge of the input in pixels")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--network", choices=list(NETWORKS), action="append")
    arguments = parser.parse_args()
    print(f"{arguments.size} x {arguments.size} enlarged by {FACTOR}, PNG to PNG, medians of {arguments.rounds}")
    print(f"{'network':<20}{'direct':>10}{'adapter':>10}{'ratio':>8}{'worker peak':>14}{'longest loop stall':>20}")
    asyncio.run(compare_all(arguments.network or list(NETWORKS), picture(arguments.size), arguments.rounds))


async def compare_all(names: list[str], data: bytes, rounds: int) -> None:
    processes = {name: UpscalerProcess(idle_s=3600) for name in names}
    for name, process in processes.items():
        await upscale(process, name, picture(8))
    os.nice(10)  # as the workers, which have started
    for name, process in processes.items():
        await compare(process, name, data, rounds)
        await process.close()


async def compare(process: UpscalerProcess, name: str, data: bytes, rounds: int) -> None:
    direct = DirectUpscaler(NETWORKS[name])
    direct_s, adapter_s, stalls_s = [], [], []
    for _ in range(rounds + 1):  # the first round warms up
        began_at = time.perf_counter()
        direct.upscale(data)
        between = time.perf_counter()
        stalls_s.append(await upscale(process, name, data))
        direct_s.append(between - began_at)
        adapter_s.append(time.perf_counter() - between)
    one, other = statistics.median(direct_s[1:]), statistics.median(adapter_s[1:])
    print(
        f"{name:<20}{one:>8.2f} s{other:>8.2f} s{other / one:>8.3f}{peak_mib(process.pid):>10.0f} MiB"
        f"{max(stalls_s[1:]) * 1e3:>17.1f} ms",
        flush=True,
    )


async def upscale(process: UpscalerProcess, name: str, data: bytes) -> float:
    """Enlarge the picture and return the longest time that the loop was busy without a break, in seconds."""

    async def read() -> bytes:
        return data

    work = Upscale(network=name, factor=FACTOR, output_format=OutputFormat.PNG, read=read, progress=lambda _: None)
    task = asyncio.create_task(process.upscale(work))
    longest_s = 0.0
    while not task.done():
        began_at = time.thread_time()
        await asyncio.sleep(0.002)
        longest_s = max(longest_s, time.thread_time() - began_at)
    await task
    return longest_s


class DirectUpscaler:
    """Calls ncnn as a script would."""

    def __init__(self, facts: NetworkFacts) -> None:
        self._facts = facts
        self._net = ncnn.Net()
        self._net.opt.num_threads = len(os.sched_getaffinity(0))
        for load, path in zip(
            (self._net.load_param, self._net.load_model), weight_files(facts.weights[FACTOR]), strict=True
        ):
            load(str(path))

    def upscale(self, data: bytes) -> bytes:
        pixels = np.asarray(Image.open(io.BytesIO(data)))
        pixels = np.pad(pixels, ((BORDER, BORDER), (BORDER, BORDER), (0, 0)), mode="edge")
        height, width, _ = pixels.shape
        rows, columns = (span(length, self._facts.tile, self._facts.overlap) for length in (height, width))
        larger = np.empty((height * FACTOR, width * FACTOR, 3), dtype=np.uint8)
        for top in rows.starts:
            for left in columns.starts:
                tile = self._run(pixels[top : top + rows.size, left : left + columns.size])
                larger[top * FACTOR : (top + rows.size) * FACTOR, left * FACTOR : (left + columns.size) * FACTOR] = tile
        file = io.BytesIO()
        edge = BORDER * FACTOR
        Image.fromarray(np.ascontiguousarray(larger[edge:-edge, edge:-edge])).save(file, "png", compress_level=4)
        return file.getvalue()

    def _run(
        self, tile: np.ndarray[tuple[int, ...], np.dtype[np.uint8]]
    ) -> np.ndarray[tuple[int, ...], np.dtype[np.uint8]]:
        planes = np.ascontiguousarray(tile.transpose(2, 0, 1), dtype=np.float32) / np.float32(255)
        extractor = self._net.create_extractor()
        extractor.input("data", ncnn.Mat(planes))
        _, result = extractor.extract("output")
        return (np.array(result).clip(0, 1) * 255 + np.float32(0.5)).astype(np.uint8).transpose(1, 2, 0)


def picture(size: int) -> bytes:
    """Return a PNG with soft and sharp parts, as a photograph has."""
    noise = Image.fromarray(np.random.default_rng(1).integers(0, 256, (size, size, 3), dtype=np.uint8))
    picture = Image.blend(Image.radial_gradient("L").resize((size, size)).convert("RGB"), noise, 0.3)
    file = io.BytesIO()
    picture.filter(ImageFilter.GaussianBlur(1.5)).save(file, "png")
    return file.getvalue()


def peak_mib(pid: int | None) -> float:
    status = Path(f"/proc/{pid}/status").read_text()
    return int(status.split("VmHWM:")[1].split()[0]) / 1024


if __name__ == "__main__":
    main()
