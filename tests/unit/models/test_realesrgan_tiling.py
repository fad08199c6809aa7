"""Cutting and joining, without a network: tiles are enlarged by repeating pixels."""

import numpy as np
import pytest
from PIL import Image

from limner.models.realesrgan.tiling import Pixels, Tiling, span

TILING = Tiling(tile=48, overlap=20, fade=4)


def repeated(tile: Pixels) -> Image.Image:
    return Image.fromarray(tile.repeat(2, axis=0).repeat(2, axis=1))


def noise(width: int, height: int) -> Pixels:
    return np.random.default_rng(1).integers(0, 256, (height, width, 3), dtype=np.uint8)


@pytest.mark.parametrize("length", [1, 47, 48, 49, 76, 77, 500, 4111])
def test_spans_cover_the_length_and_overlap(length: int) -> None:
    result = span(length, 48, 20)
    ends = [start + result.size for start in result.starts]
    assert result.size <= 48
    assert result.starts[0] == 0
    assert ends[-1] == length
    assert all(end - start >= 20 for end, start in zip(ends, result.starts[1:], strict=False))


@pytest.mark.parametrize(("width", "height"), [(1, 1), (3, 200), (201, 2), (64, 64), (97, 131)])
def test_joined_tiles_are_the_enlarged_picture(width: int, height: int) -> None:
    pixels = noise(width, height)
    result = np.asarray(TILING.enlarge(pixels, 2, repeated)).astype(int)
    assert result.shape == (2 * height, 2 * width, 3)
    assert np.abs(result - pixels.repeat(2, axis=0).repeat(2, axis=1)).max() <= 1


def test_all_tiles_have_one_size_and_are_counted() -> None:
    sizes: list[tuple[int, ...]] = []

    def enlarge(tile: Pixels) -> Image.Image:
        sizes.append(tile.shape)
        return repeated(tile)

    TILING.enlarge(noise(150, 99), 2, enlarge)
    assert len(set(sizes)) == 1
    assert len(sizes) == TILING.count(150, 99)


def test_tiles_that_disagree_pass_into_each_other_without_a_step() -> None:
    levels = iter(range(0, 256, 60))
    tiling = Tiling(tile=80, overlap=60, fade=30)
    assert tiling.count(120, 60) == 4

    result = np.asarray(
        tiling.enlarge(
            noise(120, 60),
            2,
            lambda tile: Image.new("RGB", (2 * tile.shape[1], 2 * tile.shape[0]), (next(levels),) * 3),
        )
    )
    steps = np.abs(np.diff(result.astype(int), axis=1)).max()
    assert result.max() - result.min() == 180
    assert steps <= 5
