"""Compares the upscalers with calling ncnn directly on the same tiles, side by side in one run.

Run as ``python -m benchmarks.upscale [--size 256] [--rounds 3] [--network realesrgan-x4plus]``. The direct
way is what a script would do: decode, run each tile as a whole, put the results beside one another, encode.
Both run at the same priority; the weights are loaded before. The stall is processor time of the event loop's thread.
The worker's threads don't spin while they wait; ncnn's own do, unless OMP_WAIT_POLICY=passive is set for this run.
"""

import argparse
import asyncio
import io
import os
import statistics
import time
from collections.abc import Mapping
from pathlib import Path

import ncnn
import numpy as np
from PIL import Image, ImageFilter

from benchmarks.report import Figure, Section, table
from limner.domain.image import OutputFormat
from limner.models.realesrgan.catalogue import NETWORKS, NetworkFacts, weight_files
from limner.models.realesrgan.process import Upscale, UpscalerProcess
from limner.models.realesrgan.tiling import span

FACTOR = 4
ROUNDS = 3
SIZES = {"realesrgan-x4plus": 128, "realesr-animevideo": 256}
"""Edge of the input in pixels, such that each takes some seconds."""
AIM = 1.05
BORDER = 8
"""As the tiling repeats around the picture."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--size", type=int, default=256, help="edge of the input in pixels")
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    parser.add_argument("--network", choices=list(NETWORKS), action="append")
    arguments = parser.parse_args()
    sizes = dict.fromkeys(arguments.network or NETWORKS, arguments.size)
    print(table([asyncio.run(compare_all(sizes, arguments.rounds))]))


def measure() -> Section:
    return asyncio.run(compare_all(SIZES, ROUNDS))


async def compare_all(sizes: Mapping[str, int], rounds: int) -> Section:
    processes = {name: UpscalerProcess(idle_s=3600) for name in sizes}
    for name, process in processes.items():
        await upscale(process, name, picture(8))
    os.nice(10)  # as the workers, which have started
    figures = []
    for name, process in processes.items():
        figures.append(await compare(process, name, sizes[name], rounds))
        await process.close()
    remark = "a stall is processor time of the event loop in one go; the peak is the worker's resident memory."
    return Section(
        f"Enlarging a picture by {FACTOR}, PNG to PNG",
        figures,
        [f"Medians of {rounds} rounds that take turns; {remark}"],
    )


async def compare(process: UpscalerProcess, name: str, size: int, rounds: int) -> Figure:
    direct, data = DirectUpscaler(NETWORKS[name]), picture(size)
    direct_s, adapter_s, stalls_s = [], [], []
    for _ in range(rounds + 1):  # the first round warms up
        began_at = time.perf_counter()
        direct.upscale(data)
        between = time.perf_counter()
        stalls_s.append(await upscale(process, name, data))
        direct_s.append(between - began_at)
        adapter_s.append(time.perf_counter() - between)
    one, other = statistics.median(direct_s[1:]), statistics.median(adapter_s[1:])
    note = (
        f"× {other / one:.3f} of {one:.2f} s by ncnn directly; "
        f"peak {peak_mib(process.pid):.0f} MiB, longest stall {max(stalls_s[1:]) * 1e3:.1f} ms"
    )
    return Figure(f"{name}, {size} × {size}", f"{other:.2f} s", note, f"<= × {AIM}", other / one <= AIM)


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
