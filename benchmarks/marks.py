"""What signing costs, and what the watermark survives."""

import asyncio
import io
import math
import statistics
import tempfile
import time
from collections.abc import Callable, Mapping
from contextlib import closing
from pathlib import Path

from PIL import Image, ImageChops, ImageEnhance, ImageStat

from benchmarks.report import Figure, Section
from limner.certificates import load_identity
from limner.domain.image import OutputFormat
from limner.domain.provenance import SourceType
from limner.provenance.marks import C2paMarks
from limner.provenance.watermarks import RivaGan
from limner.service.marks import Making
from tests.certificates import signer_in
from tests.pictures import encoded, landscape, noise

MADE = Making(action="c2pa.created", title="a", source_type=SourceType.TRAINED_ALGORITHMIC_MEDIA, model="painter")
ROUNDS = 20
LANDSCAPES = 6


def _again(picture: Image.Image, to: str, **options: int) -> Image.Image:
    return Image.open(io.BytesIO(encoded(picture, to, **options))).convert("RGB")


def _cut(picture: Image.Image) -> Image.Image:
    width, height = picture.size
    return picture.crop((width // 20, height // 20, width - width // 20, height - height // 20))


CHANGES: Mapping[str, Callable[[Image.Image], Image.Image]] = {
    "unchanged": lambda picture: picture,
    "JPEG 60": lambda picture: _again(picture, "JPEG", quality=60),
    "WebP 70": lambda picture: _again(picture, "WEBP", quality=70),
    "half size": lambda picture: picture.resize((picture.width // 2, picture.height // 2)),
    "10 % cut off each edge's length": _cut,
    "15 % brighter": lambda picture: ImageEnhance.Brightness(picture).enhance(1.15),
}


def measure() -> Section:
    return Section(
        "marks: a signature of 1.4 MiB, and what the watermark survives",
        [*asyncio.run(_signing()), *_watermarks()],
        [f"Watermarks in {LANDSCAPES} drawn landscapes of 768x512; photographs are not carried along."],
    )


async def _signing() -> list[Figure]:
    data = encoded(noise(690, 690), "PNG")
    signing, reading = [], []
    with tempfile.TemporaryDirectory() as folder:
        signer = signer_in(Path(folder))
        with closing(C2paMarks(identity=load_identity(str(signer.chain), str(signer.key)))) as marks:
            await marks.sign(data, OutputFormat.PNG, MADE)  # the process starts
            for _ in range(ROUNDS):
                begun = time.perf_counter()
                signed = await marks.sign(data, OutputFormat.PNG, MADE)
                signing.append(time.perf_counter() - begun)
                begun = time.perf_counter()
                await marks.read(signed)
                reading.append(time.perf_counter() - begun)
    return [
        Figure("sign, and look at what was signed", f"{statistics.median(signing) * 1000:.0f} ms"),
        Figure("read", f"{statistics.median(reading) * 1000:.0f} ms"),
    ]


def _watermarks() -> list[Figure]:
    networks, took, noises = RivaGan(), [], []
    found = dict.fromkeys(CHANGES, 0)
    for seed in range(LANDSCAPES):
        plain = landscape(768, 512, 100 * seed)
        begun = time.perf_counter()
        marked = networks.embedded(plain)
        took.append(time.perf_counter() - begun)
        noises.append(statistics.mean(ImageStat.Stat(ImageChops.difference(plain, marked)).sum2) / (768 * 512))
        for name, change in CHANGES.items():
            found[name] += networks.is_in(change(marked))
    quietest_db = 10 * math.log10(255**2 / max(noises))
    return [
        Figure("put a watermark in", f"{statistics.median(took):.2f} s"),
        Figure("lowest PSNR", f"{quietest_db:.1f} dB", aim="40 dB", met=quietest_db >= 40),
        *(
            Figure(f"watermark found, {name}", f"{count} of {LANDSCAPES}", aim="95 %", met=count / LANDSCAPES >= 0.95)
            for name, count in found.items()
        ),
    ]
