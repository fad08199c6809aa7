"""Guesses where the subject or the sky of a picture is. Nothing here recognises anything: colours and places decide."""

from typing import Final

from PIL import Image, ImageChops, ImageFilter, ImageOps

_WORK: Final = 144
"""Longer edge, in pixels, of the small copy that is looked at."""

_BORDER_COLOURS: Final = 10
_SKY_COLOURS: Final = 5
_CLOUD: Final = 208
"""Lightness from which what is high up in a picture is taken for a cloud or the sun."""

_SOFT: Final = 5
"""Difference in lightness between neighbours that is no edge."""

_LEAST_SUBJECT, _MOST_SUBJECT = 0.03, 0.8
_LEAST_SKY: Final = 0.05


def subject_mask(picture: Image.Image) -> Image.Image:
    """Return where the subject may be, 255 for surely: near the middle, and unlike the edges of the picture."""
    small = _small(picture)
    unlike = _unlike_its_row(small, _distance(small, _border(small), _BORDER_COLOURS))
    unlike = unlike.point(lambda value: min(255, max(0, value - 26) * 6))
    central = _central(small.size)
    mask = ImageChops.multiply(unlike, central.point(lambda value: min(255, value * 2)))
    # Holes within the subject close, specks outside go.
    mask = mask.filter(ImageFilter.MaxFilter(5)).filter(ImageFilter.MinFilter(3)).filter(ImageFilter.MedianFilter(5))
    if not _LEAST_SUBJECT < _share(mask) < _MOST_SUBJECT:
        mask = central.point(lambda value: min(255, max(0, value - 110) * 5))
    return mask.filter(ImageFilter.GaussianBlur(1.4)).resize(picture.size, Image.Resampling.BICUBIC)


def _unlike_its_row(small: Image.Image, unlike: Image.Image) -> Image.Image:
    """Skies and grounds go on sideways: what looks like the left or right end of its row is no subject."""
    wide, high = small.size
    for left in (0, wide - 3):
        ends = small.crop((left, 0, left + 3, high)).resize((1, high), Image.Resampling.BOX).resize(small.size)
        unlike = ImageChops.darker(unlike, _difference(small, ends))
    return unlike


def sky_mask(picture: Image.Image) -> Image.Image:
    """Return where the sky may be, 255 for surely: colours like those at the top, reached from there."""
    small = _small(picture)
    wide, high = small.size
    top = small.crop((0, 0, wide, max(1, high // 8)))
    like = _distance(small, top, _SKY_COLOURS)
    mask = Image.frombytes("L", small.size, _reached_from_top(like.tobytes(), small.convert("L").tobytes(), wide, high))
    mask = mask.filter(ImageFilter.MaxFilter(7)).filter(ImageFilter.MinFilter(7))
    if _share(mask) < _LEAST_SKY:
        mask = _upper_half(small.size)
    return mask.filter(ImageFilter.GaussianBlur(1.1)).resize(picture.size, Image.Resampling.BICUBIC)


def _reached_from_top(unlike: bytes, grey: bytes, wide: int, high: int) -> bytes:
    """Walk down each column while the colour stays sky or changes only softly."""
    mask = bytearray(wide * high)
    patience, clouds_end = high // 10, wide * high * 6 // 10
    for x in range(wide):
        strange = 0
        for place in range(x, wide * int(high * 0.9), wide):
            above = place - wide if place >= wide else place
            soft = abs(grey[place] - grey[above]) < 7 and (above == place or mask[above])
            cloud = grey[place] > _CLOUD and place < clouds_end
            if unlike[place] < 34 or cloud or (soft and unlike[place] < 120):
                mask[place], strange = 255, 0
            else:
                strange += 1
                if strange > patience:
                    break
    for row in range(0, wide * int(high * 0.9), wide):
        _spread(mask, grey, range(row + 1, row + wide), -1)
        _spread(mask, grey, range(row + wide - 2, row - 1, -1), 1)
    return bytes(mask)


def _spread(mask: bytearray, grey: bytes, places: range, back: int) -> None:
    """Let the sky flow sideways into what differs softly from it."""
    for place in places:
        if mask[place + back] and abs(grey[place] - grey[place + back]) < _SOFT:
            mask[place] = 255


def _small(picture: Image.Image) -> Image.Image:
    scale = _WORK / max(picture.size)
    size = (max(8, round(picture.width * scale)), max(8, round(picture.height * scale)))
    return picture.convert("RGB").resize(size, Image.Resampling.BOX)


def _border(small: Image.Image) -> Image.Image:
    """Return the outer twelfth of a picture as one strip."""
    wide, high = small.size
    edge = max(1, min(wide, high) // 12)
    strip = Image.new("RGB", (wide, edge * 2 + edge * 2))
    strip.paste(small.crop((0, 0, wide, edge)), (0, 0))
    strip.paste(small.crop((0, high - edge, wide, high)), (0, edge))
    for place, left in ((2, 0), (3, wide - edge)):
        strip.paste(
            small.crop((left, 0, left + edge, high)).resize((wide, edge), Image.Resampling.BOX), (0, place * edge)
        )
    return strip


def _distance(small: Image.Image, sample: Image.Image, colours: int) -> Image.Image:
    """Return for each pixel how far its colour is from the nearest main colour of ``sample``."""
    palette = sample.quantize(colours, method=Image.Quantize.MEDIANCUT).convert("RGB").getcolors(maxcolors=256) or []
    nearest = Image.new("L", small.size, 255)
    for _, colour in palette:
        nearest = ImageChops.darker(nearest, _difference(small, Image.new("RGB", small.size, colour)))
    return nearest


def _difference(one: Image.Image, other: Image.Image) -> Image.Image:
    red, green, blue = ImageChops.difference(one, other).split()
    return ImageChops.lighter(ImageChops.lighter(red, green), blue)


def _central(size: tuple[int, int]) -> Image.Image:
    return ImageOps.invert(Image.radial_gradient("L")).resize(size, Image.Resampling.BILINEAR)


def _upper_half(size: tuple[int, int]) -> Image.Image:
    return (
        Image.linear_gradient("L")
        .resize(size, Image.Resampling.BILINEAR)
        .point(lambda value: max(0, min(255, (135 - value) * 5)))
    )


def _share(mask: Image.Image) -> float:
    counts = mask.histogram()
    return sum(value * count for value, count in enumerate(counts)) / (255 * mask.width * mask.height)
