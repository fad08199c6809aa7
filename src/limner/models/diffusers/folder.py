"""What the files of a pipeline tell, without loading it: what it can do, and in which sizes. Imports nothing heavy."""

import importlib.util
import json
import math
import os
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

from limner.domain.task import Operation

_NEEDED_PACKAGES: Final = ("torch", "diffusers", "transformers", "safetensors", "PIL")
_INDEX: Final = "model_index.json"
_DEFAULT_EDGE: Final = 1024
_DEFAULT_VAE_SCALE: Final = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class Abilities:
    """What a class of pipelines can do."""

    operations: tuple[Operation, ...]
    max_input_images: int = 0
    upscale_factor: int = 0
    batched_edits: bool = False
    """Whether it takes one picture for each of several prompts."""
    multiple: int = 0
    """What width and height are multiples of; 0 to see it from the files."""


_GENERATES: Final = Abilities(operations=(Operation.GENERATE,))
_BOTH: Final = Abilities(operations=(Operation.GENERATE, Operation.EDIT), max_input_images=1, batched_edits=True)
_EDITS: Final = Abilities(operations=(Operation.EDIT,), max_input_images=1, batched_edits=True)

CLASSES: Final[Mapping[str, Abilities]] = {
    # For edits, diffusers has an image-to-image pipeline of the same parts.
    "FluxPipeline": _BOTH,
    "LatentConsistencyModelPipeline": _BOTH,
    "QwenImagePipeline": _BOTH,
    "StableDiffusion3Pipeline": _BOTH,
    "StableDiffusionPipeline": _BOTH,
    "StableDiffusionXLPipeline": _BOTH,
    "ZImagePipeline": _BOTH,
    # These take pictures themselves, and only for one prompt at a time.
    "Flux2KleinPipeline": replace(_BOTH, max_input_images=4, batched_edits=False),
    "Flux2Pipeline": replace(_BOTH, max_input_images=4, batched_edits=False),
    "FluxKontextPipeline": replace(_BOTH, batched_edits=False),
    "AuraFlowPipeline": _GENERATES,
    "ChromaPipeline": _GENERATES,
    "CogView4Pipeline": _GENERATES,
    "HunyuanDiTPipeline": _GENERATES,
    "Kandinsky3Pipeline": _GENERATES,
    "Lumina2Pipeline": _GENERATES,
    "PixArtAlphaPipeline": _GENERATES,
    "PixArtSigmaPipeline": _GENERATES,
    "SanaPipeline": _GENERATES,
    "FluxImg2ImgPipeline": _EDITS,
    "StableDiffusion3Img2ImgPipeline": _EDITS,
    "StableDiffusionImg2ImgPipeline": _EDITS,
    "StableDiffusionXLImg2ImgPipeline": _EDITS,
    "QwenImageEditPipeline": replace(_EDITS, batched_edits=False),
    "QwenImageEditPlusPipeline": replace(_EDITS, max_input_images=3, batched_edits=False),
    "StableDiffusionInstructPix2PixPipeline": replace(_EDITS, batched_edits=False),
    "StableDiffusionXLInstructPix2PixPipeline": replace(_EDITS, batched_edits=False),
    # The first's network halves its input three times; the second takes a picture for squares of 64 pixels.
    "StableDiffusionUpscalePipeline": Abilities(
        operations=(Operation.UPSCALE,), max_input_images=1, upscale_factor=4, multiple=8
    ),
    "StableDiffusionLatentUpscalePipeline": Abilities(
        operations=(Operation.UPSCALE,), max_input_images=1, upscale_factor=2, multiple=64
    ),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class PipelineFacts:
    """What is known about a pipeline from its files."""

    class_name: str
    abilities: Abilities
    """Nothing for a class that is not known here."""
    pixels: int
    """How many it was made for."""
    multiple: int
    """What width and height have to be multiples of."""
    variant: str
    """What stands in the names of the weight files, such as ``fp16``."""


def missing_package() -> str:
    """Return the name of a package that is needed and not installed, or an empty text. Imports none of them."""
    return next((name for name in _NEEDED_PACKAGES if importlib.util.find_spec(name) is None), "")


def find(source: str) -> Path | None:
    """Return the folder of a pipeline: ``source`` itself, or what the hub's cache has under this id."""
    folder = Path(source).expanduser()
    if not (folder / _INDEX).is_file():
        folder = _cached(source)
    return folder if (folder / _INDEX).is_file() else None


def facts(folder: Path) -> PipelineFacts | None:
    """Return what the files tell, or ``None`` when they don't make sense."""
    class_name = _json(folder / _INDEX).get("_class_name")
    if not isinstance(class_name, str):  # a list names code of the folder's own, which is never run
        return None
    abilities = CLASSES.get(class_name, Abilities(operations=()))
    network = folder / ("unet" if (folder / "unet").is_dir() else "transformer")
    vae_scale = _vae_scale(folder)
    edge = _edge(_json(network / "config.json").get("sample_size"))
    return PipelineFacts(
        class_name=class_name,
        abilities=abilities,
        pixels=(edge * vae_scale) ** 2 if edge else _DEFAULT_EDGE**2,
        # Transformers look at squares of 2 x 2 latents. Most pipelines want multiples of 8 whatever their scale.
        multiple=abilities.multiple or math.lcm(8, vae_scale * (1 if network.name == "unet" else 2)),
        variant=_variant(network),
    )


def _cached(hub_id: str) -> Path:
    """Return where huggingface_hub keeps the main revision of a repository."""
    home = Path(os.environ.get("HF_HOME") or Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache") / "huggingface")
    repository = Path(os.environ.get("HF_HUB_CACHE") or home / "hub") / f"models--{hub_id.replace('/', '--')}"
    try:
        revision = (repository.expanduser() / "refs" / "main").read_text().strip()
    except (OSError, ValueError):
        revision = ""
    return repository.expanduser() / "snapshots" / (revision or "none")


def _json(path: Path) -> Mapping[str, Any]:
    try:
        values = json.loads(path.read_text())
    except (OSError, ValueError):
        return {}
    return values if isinstance(values, dict) else {}


def _vae_scale(folder: Path) -> int:
    vae = _json(folder / "vae" / "config.json")
    levels = vae.get("block_out_channels") or vae.get("encoder_block_out_channels")
    return int(2 ** (len(levels) - 1)) if isinstance(levels, list) else _DEFAULT_VAE_SCALE


def _edge(sample_size: object) -> int:
    """Return the edge of the square that has as many latents as the network was made for; 0 when unknown."""
    if isinstance(sample_size, int):
        return sample_size
    if isinstance(sample_size, list) and all(isinstance(length, int) for length in sample_size):
        return math.isqrt(math.prod(sample_size))
    return 0


def _variant(network: Path) -> str:
    """Return the variant when the network's weights come in one only."""
    names = [path.name.split(".") for path in network.glob("*.safetensors")]
    variants = {parts[1].split("-")[0] if len(parts) > 2 else "" for parts in names}
    return variants.pop() if len(variants) == 1 else ""
