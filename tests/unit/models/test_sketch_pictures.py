"""Files of many kinds, as the painter of ``sketch`` takes and gives them."""

import io

import pytest
from PIL import Image as Pillow

from limner.domain.image import OutputFormat
from limner.models.sketch_pictures import decoded, encoded


def test_transparency_becomes_white_in_a_jpeg() -> None:
    file = encoded(Pillow.new("RGBA", (80, 80), (0, 0, 0, 0)), OutputFormat.JPEG)
    assert Pillow.open(io.BytesIO(file)).getextrema() == ((255, 255),) * 3


def test_large_inputs_become_four_megapixels() -> None:
    file = io.BytesIO()
    Pillow.new("RGB", (5000, 2500), "green").save(file, "PNG")
    result = decoded(file.getvalue())
    assert result.width * result.height <= 4 * 1024 * 1024
    assert abs(result.width / result.height - 2) < 0.01


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGB", "RGBA", "CMYK", "I;16"])
def test_every_mode_is_decoded_to_eight_bits(mode: str) -> None:
    picture = Pillow.new("RGB", (64, 48), (200, 100, 50)).convert("L").convert("I;16" if mode == "I;16" else mode)
    if mode == "I;16":
        picture = Pillow.frombytes("I;16", (64, 48), b"\x00\x80" * 64 * 48)
    file = io.BytesIO()
    picture.save(file, "JPEG" if mode == "CMYK" else "PNG")
    result = decoded(file.getvalue())
    assert result.mode in {"RGB", "RGBA"}
    if mode == "I;16":
        assert result.getpixel((5, 5)) == (127, 127, 127)
