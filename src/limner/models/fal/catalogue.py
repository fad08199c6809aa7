"""What is known about fal's models: facts only.

Fields are those of the typings of ``@fal-ai/client`` 1.10.1. Prices are those that fal's model pages named in
autumn 2026; a model that is billed by the megapixel or second of computing has none. Where the largest
``num_images`` is not documented, a call asks for one picture: calls run side by side and cost the same.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal
from typing import Final, TypeAlias

from limner.domain.image import OutputFormat
from limner.domain.model import ModelCapabilities
from limner.domain.task import ASPECT_RATIOS, AUTO_ASPECT_RATIO, Operation

BASE_URL: Final = "https://queue.fal.run"
KEY_VARIABLE: Final = "FAL_KEY"

Fields: TypeAlias = Mapping[str, object]
"""A part of a request body."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FalFacts:
    """One model: where it is asked, and how each wish is put into fields."""

    id: str
    """What callers name it when the operator does not say otherwise."""
    description: str
    generate: str = ""
    """Endpoint for prompts alone; empty: can't."""
    edit: str = ""
    """Endpoint that takes its inputs as ``image_urls``."""
    edit_one: str = ""
    """Endpoint that takes its one input as ``image_url``; preferred when there is one."""
    upscale: str = ""
    shapes: Mapping[str, Fields] = field(default_factory=dict)
    """The fields that ask for an aspect ratio; ``auto`` among them when edits can keep their input's."""
    formats: Mapping[OutputFormat, str] = field(default_factory=dict)
    """What ``output_format`` is sent for a format that is wanted; empty: there is no such field."""
    always: Fields = field(default_factory=dict)
    per_call: int = 1
    """Most pictures of one call."""
    counts: bool = True
    """Whether there is a field ``num_images``."""
    max_inputs: int = 0
    max_prompt_chars: int = 32_000
    seeds: bool = False
    factor_field: str = "upscale_factor"
    factors: tuple[int, ...] = ()
    price_usd: Decimal | None = None
    retires: date | None = None

    @property
    def endpoint(self) -> str:
        """The endpoint by which the catalogue file names the model."""
        return self.generate or self.upscale or self.edit_one or self.edit

    @property
    def operations(self) -> tuple[Operation, ...]:
        """What it can do."""
        able = {
            Operation.GENERATE: self.generate,
            Operation.EDIT: self.edit or self.edit_one,
            Operation.UPSCALE: self.upscale,
        }
        return tuple(operation for operation, endpoint in able.items() if endpoint)

    def capabilities(self, model_id: str = "") -> ModelCapabilities:
        """Return the entry of the catalogue, under the operator's own id when there is one."""
        return ModelCapabilities(
            id=model_id or self.id,
            description=self.description,
            operations=self.operations,
            aspect_ratios=tuple(self.shapes),
            max_input_images=self.max_inputs,
            upscale_factors=self.factors,
            max_prompt_chars=self.max_prompt_chars,
            seeds=self.seeds,
            price_usd=self.price_usd,
            retires=self.retires,
        )


def find_facts(name: str) -> FalFacts | None:
    """Return the facts of a model by an endpoint of it, or by its usual id."""
    return next((facts for facts in KNOWN_MODELS if name in _names(facts)), None)


def _names(facts: FalFacts) -> set[str]:
    return {facts.id, facts.generate, facts.edit, facts.edit_one, facts.upscale} - {""}


def _ratios(ratios: Iterable[str], **auto: Fields) -> dict[str, Fields]:
    """Return shapes that are sent as ``aspect_ratio``."""
    return {ratio: {"aspect_ratio": ratio} for ratio in ratios} | auto


def _sizes(sizes: Mapping[str, object], **auto: Fields) -> dict[str, Fields]:
    """Return shapes that are sent as ``image_size``."""
    return {ratio: {"image_size": size} for ratio, size in sizes.items()} | auto


def _pixels(sizes: Mapping[str, tuple[int, int]], times: int = 1) -> dict[str, object]:
    return {ratio: {"width": width * times, "height": height * times} for ratio, (width, height) in sizes.items()}


_ANY: Final = {each: each.value for each in OutputFormat}
_NO_WEBP: Final = _ANY | {OutputFormat.WEBP: "png"}
_JPG: Final = _ANY | {OutputFormat.JPEG: "jpg"}

_ONE_MEGAPIXEL: Final = {
    "1:1": (1024, 1024),
    "16:9": (1024, 576),
    "9:16": (576, 1024),
    "4:3": (1024, 768),
    "3:4": (768, 1024),
    "3:2": (1152, 768),
    "2:3": (768, 1152),
    "21:9": (1344, 576),
    "4:5": (832, 1040),
    "5:4": (1040, 832),
}
"""Exact ratios in multiples of 16, of at most 1024 x 1024 pixels, which are billed as one megapixel."""

_PRESETS: Final = {
    "1:1": "square_hd",
    "16:9": "landscape_16_9",
    "9:16": "portrait_16_9",
    "4:3": "landscape_4_3",
    "3:4": "portrait_4_3",
}
_FLUX_SIZES: Final = _pixels(_ONE_MEGAPIXEL) | _PRESETS

_LARGE: Final = {
    "1:1": (1024, 1024),
    "16:9": (1536, 864),
    "9:16": (864, 1536),
    "4:3": (1152, 864),
    "3:4": (864, 1152),
    "3:2": (1536, 1024),
    "2:3": (1024, 1536),
    "21:9": (1568, 672),
    "4:5": (960, 1200),
    "5:4": (1200, 960),
}
"""Exact ratios in multiples of 16, of at least 655,360 pixels, which gpt-image-2 demands."""

_GPT_15_SIZES: Final = {"1:1": "1024x1024", "3:2": "1536x1024", "2:3": "1024x1536"}
_KONTEXT_RATIOS: Final = ("1:1", "16:9", "9:16", "4:3", "3:4", "3:2", "2:3", "21:9")
_AUTO_RATIO: Final = {"aspect_ratio": AUTO_ASPECT_RATIO}
_AUTO_SIZE: Final = {"image_size": AUTO_ASPECT_RATIO}
_BEST_EFFORT: Final = "A seed is a best effort."


def _gemini(name: str, description: str, *, inputs: int, price: str, retires: date | None = None) -> FalFacts:
    return FalFacts(
        id=name,
        description=f"{description} {_BEST_EFFORT}",
        generate=f"fal-ai/{name}",
        edit=f"fal-ai/{name}/edit",
        shapes=_ratios(ASPECT_RATIOS, auto=_AUTO_RATIO),
        formats=_ANY,
        always={"limit_generations": True},
        per_call=4,
        max_inputs=inputs,
        seeds=True,
        price_usd=Decimal(price),
        retires=retires,
    )


def _kontext(name: str, path: str, description: str, price: str) -> FalFacts:
    return FalFacts(
        id=name,
        description=description,
        generate=f"{path}/text-to-image",
        edit_one=path,
        edit=f"{path}/multi",
        shapes=_ratios(_KONTEXT_RATIOS, auto={}),
        formats=_NO_WEBP,
        max_inputs=4,
        seeds=True,
        price_usd=Decimal(price),
    )


def _seedream(name: str, version: str, auto: str, price: str) -> FalFacts:
    return FalFacts(
        id=name,
        description=f"ByteDance Seedream {version.removeprefix('v')} by fal: large pictures. {_BEST_EFFORT}",
        generate=f"fal-ai/bytedance/seedream/{version}/text-to-image",
        edit=f"fal-ai/bytedance/seedream/{version}/edit",
        # Twice as long: the price is the same, and v4.5 makes nothing below 2560 x 1440 pixels.
        shapes=_sizes(_pixels(_LARGE, 2), auto={"image_size": auto}),
        always={"max_images": 1},
        max_inputs=10,
        seeds=True,
        price_usd=Decimal(price),
    )


_IMAGEN_RATIOS: Final = ("1:1", "16:9", "9:16", "4:3", "3:4")
_IMAGEN_END: Final = date(2026, 8, 17)

_GENERATORS: Final = (
    _gemini("nano-banana", "Google Gemini 2.5 Flash Image by fal.", inputs=3, price="0.039", retires=date(2026, 10, 2)),
    _gemini("nano-banana-2", "Google Gemini 3.1 Flash Image by fal.", inputs=14, price="0.08"),
    FalFacts(
        id="nano-banana-2-lite",
        description=f"Google Gemini 3.1 Flash Lite Image by fal. {_BEST_EFFORT}",
        generate="google/nano-banana-2-lite",
        shapes=_ratios(ASPECT_RATIOS),
        formats=_ANY,
        seeds=True,
    ),
    _gemini("nano-banana-pro", "Google Gemini 3 Pro Image by fal.", inputs=14, price="0.15"),
    FalFacts(
        id="flux-schnell",
        description="FLUX.1 [schnell] by fal: fast and cheap.",
        generate="fal-ai/flux/schnell",
        shapes=_sizes(_FLUX_SIZES),
        formats=_NO_WEBP,
        per_call=4,
        seeds=True,
        price_usd=Decimal("0.003"),
    ),
    FalFacts(
        id="flux-dev",
        description="FLUX.1 [dev] by fal.",
        generate="fal-ai/flux/dev",
        shapes=_sizes(_FLUX_SIZES),
        formats=_NO_WEBP,
        per_call=4,
        seeds=True,
        price_usd=Decimal("0.025"),
    ),
    FalFacts(
        id="flux-pro-1.1",
        description="FLUX1.1 [pro] by fal.",
        generate="fal-ai/flux-pro/v1.1",
        shapes=_sizes(_FLUX_SIZES),
        formats=_NO_WEBP,
        seeds=True,
    ),
    FalFacts(
        id="flux-pro-1.1-ultra",
        description="FLUX1.1 [pro] ultra by fal: pictures of four megapixels.",
        generate="fal-ai/flux-pro/v1.1-ultra",
        shapes=_ratios(_KONTEXT_RATIOS),
        formats=_NO_WEBP,
        seeds=True,
    ),
    # Apart from flux-dev: its edits have the shape of their input and no other.
    FalFacts(
        id="flux-dev-image-to-image",
        description="FLUX.1 [dev] by fal: paints a picture anew, in its own shape.",
        edit_one="fal-ai/flux/dev/image-to-image",
        shapes={AUTO_ASPECT_RATIO: {}},
        formats=_NO_WEBP,
        per_call=4,
        max_inputs=1,
        seeds=True,
    ),
    _kontext("flux-kontext", "fal-ai/flux-pro/kontext", "FLUX.1 Kontext [pro] by fal: precise edits.", "0.04"),
    _kontext("flux-kontext-max", "fal-ai/flux-pro/kontext/max", "FLUX.1 Kontext [max] by fal: precise edits.", "0.08"),
    FalFacts(
        id="flux-kontext-dev",
        description="FLUX.1 Kontext [dev] by fal: edits one picture.",
        edit_one="fal-ai/flux-kontext/dev",
        shapes={ratio: {"resolution_mode": ratio} for ratio in ASPECT_RATIOS}
        | {AUTO_ASPECT_RATIO: {"resolution_mode": "match_input"}},
        formats=_NO_WEBP,
        max_inputs=1,
        seeds=True,
    ),
    FalFacts(
        id="flux-2",
        description="FLUX.2 [dev] by fal.",
        generate="fal-ai/flux-2",
        edit="fal-ai/flux-2/edit",
        shapes=_sizes(_FLUX_SIZES, auto={}),
        formats=_ANY,
        max_inputs=4,
        seeds=True,
    ),
    FalFacts(
        id="flux-2-pro",
        description="FLUX.2 [pro] by fal.",
        generate="fal-ai/flux-2-pro",
        edit="fal-ai/flux-2-pro/edit",
        shapes=_sizes(_FLUX_SIZES, auto=_AUTO_SIZE),
        formats=_NO_WEBP,
        counts=False,
        max_inputs=8,
        seeds=True,
    ),
    FalFacts(
        id="flux-2-max",
        description="FLUX.2 [max] by fal.",
        generate="fal-ai/flux-2-max",
        shapes=_sizes(_FLUX_SIZES),
        formats=_NO_WEBP,
        counts=False,
        seeds=True,
    ),
    FalFacts(
        id="fal-gpt-image-1.5",
        description="OpenAI gpt-image-1.5 by fal.",
        generate="fal-ai/gpt-image-1.5",
        edit="fal-ai/gpt-image-1.5/edit",
        shapes=_sizes(_GPT_15_SIZES, auto=_AUTO_SIZE),
        formats=_ANY,
        max_inputs=16,
    ),
    FalFacts(
        id="fal-gpt-image-2",
        description="OpenAI gpt-image-2 by fal, in high quality.",
        generate="openai/gpt-image-2",
        edit="openai/gpt-image-2/edit",
        shapes=_sizes(_pixels(_LARGE), auto=_AUTO_SIZE),
        formats=_ANY,
        max_inputs=16,
        # The most that any of these sizes costs in high quality, the default; edits are the dearest.
        price_usd=Decimal("0.22"),
    ),
    FalFacts(
        id="imagen-4",
        description="Google Imagen 4 by fal, which Google has retired.",
        generate="fal-ai/imagen4/preview",
        shapes=_ratios(_IMAGEN_RATIOS),
        formats=_ANY,
        seeds=True,
        retires=_IMAGEN_END,
    ),
    _seedream("seedream-4", "v4", "auto", "0.03"),
    _seedream("seedream-4.5", "v4.5", "auto_2K", "0.04"),
)

_UPSCALERS: Final = (
    FalFacts(
        id="esrgan",
        description="Real-ESRGAN by fal.",
        upscale="fal-ai/esrgan",
        formats=_NO_WEBP,
        counts=False,
        factor_field="scale",
        factors=(2, 3, 4, 5, 6, 7, 8),
    ),
    FalFacts(
        id="clarity-upscaler",
        description="Clarity by fal: invents detail.",
        upscale="fal-ai/clarity-upscaler",
        counts=False,
        factors=(2, 3, 4),
    ),
    FalFacts(
        id="topaz",
        description="Topaz Standard V2 by fal.",
        upscale="fal-ai/topaz/upscale/image",
        formats=_NO_WEBP,
        counts=False,
        factors=(2, 3, 4),
    ),
    FalFacts(
        id="seedvr",
        description="SeedVR2 by fal.",
        upscale="fal-ai/seedvr/upscale/image",
        formats=_JPG,
        always={"upscale_mode": "factor"},
        counts=False,
        factors=(2, 3, 4, 5, 6, 7, 8, 9, 10),
    ),
    FalFacts(id="aura-sr", description="AuraSR by fal.", upscale="fal-ai/aura-sr", counts=False, factors=(4,)),
)

KNOWN_MODELS: Final = (*_GENERATORS, *_UPSCALERS)
