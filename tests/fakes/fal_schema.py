"""What fal's image endpoints accept, and what they draw: from the typings of @fal-ai/client 1.10.1.

Ranges that the typings lack are those of fal's model pages. Written apart from the adapter's own table,
so that a mistake there is seen.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

RATIOS = ("21:9", "16:9", "3:2", "4:3", "5:4", "1:1", "4:5", "3:4", "2:3", "9:16")
EXTREME_RATIOS = ("4:1", "1:4", "8:1", "1:8")
KONTEXT_RATIOS = ("21:9", "16:9", "4:3", "3:2", "1:1", "2:3", "3:4", "9:16", "9:21")
PRESETS = {
    "square_hd": (1024, 1024),
    "square": (512, 512),
    "portrait_4_3": (768, 1024),
    "portrait_16_9": (576, 1024),
    "landscape_4_3": (1024, 768),
    "landscape_16_9": (1024, 576),
}
GPT_SIZES = {"1024x1024": (1024, 1024), "1536x1024": (1536, 1024), "1024x1536": (1024, 1536)}

Problem = dict[str, Any]
Rule = Callable[[str, Any], Iterator[Problem]]


def problem(name: str, kind: str, message: str, value: object, **ctx: object) -> Problem:
    """Return one entry of ``detail``, which echoes the input as fal does."""
    entry = {
        "loc": ["body", name],
        "msg": message,
        "type": kind,
        "input": value,
        "url": f"https://docs.fal.ai/errors#{kind}",
    }
    return entry | ({"ctx": ctx} if ctx else {})


def text(name: str, value: Any) -> Iterator[Problem]:
    if not isinstance(value, str):
        yield problem(name, "string_type", "Input should be a valid string", value)


def truth(name: str, value: Any) -> Iterator[Problem]:
    if not isinstance(value, bool):
        yield problem(name, "bool_type", "Input should be a valid boolean", value)


def one_of(*values: str) -> Rule:
    def rule(name: str, value: Any) -> Iterator[Problem]:
        if value not in values:
            yield problem(name, "one_of", "Unexpected value", value, expected=list(values))

    return rule


def number(low: float, high: float, *, whole: bool = False) -> Rule:
    def rule(name: str, value: Any) -> Iterator[Problem]:
        if isinstance(value, bool) or not isinstance(value, int if whole else (int, float)):
            yield problem(name, "int_type" if whole else "float_type", "Input should be a number", value)
        elif value < low:
            yield problem(name, "greater_than_equal", f"Should be at least {low}", value, ge=low)
        elif value > high:
            yield problem(name, "less_than_equal", f"Should be at most {high}", value, le=high)

    return rule


def urls(most: int) -> Rule:
    def rule(name: str, value: Any) -> Iterator[Problem]:
        if not isinstance(value, list) or not all(isinstance(each, str) for each in value):
            yield problem(name, "list_type", "Input should be a list of addresses", value)
        elif not value:
            yield problem(name, "sequence_too_short", "List should have an item", value, min_length=1)
        elif len(value) > most:
            yield problem(name, "sequence_too_long", "List has too many items", value, max_length=most)

    return rule


@dataclass(frozen=True, slots=True)
class Sizes:
    """The ``image_size`` field: presets, words, and free sizes within bounds."""

    words: tuple[str, ...] = ()
    edges: tuple[int, int] = (1, 14142)
    pixels: tuple[int, int] = (1, 14142**2)
    multiple: int = 1

    def __call__(self, name: str, value: Any) -> Iterator[Problem]:
        if isinstance(value, str):
            yield from one_of(*PRESETS, *self.words)(name, value)
        elif not isinstance(value, dict) or set(value) != {"width", "height"}:
            yield problem(name, "model_type", "Input should be a size", value)
        else:
            yield from self._of(name, value["width"], value["height"])

    def _of(self, name: str, width: int, height: int) -> Iterator[Problem]:
        for edge in (width, height):
            yield from number(*self.edges, whole=True)(name, edge)
            if edge % self.multiple:
                yield problem(name, "multiple_of", "Wrong multiple", edge, multiple_of=self.multiple)
        if not self.pixels[0] <= width * height <= self.pixels[1]:
            yield problem(name, "greater_than_equal", "Total pixels out of range", width * height, ge=self.pixels[0])


SEED = number(0, 2**32 - 1, whole=True)
COUNT = number(1, 4, whole=True)
FLAG: Mapping[str, Rule] = {"sync_mode": truth}
CHECKED: Mapping[str, Rule] = {**FLAG, "enable_safety_checker": truth}
ANY_FORMAT, NO_WEBP = one_of("jpeg", "png", "webp"), one_of("jpeg", "png")


@dataclass(frozen=True, slots=True, kw_only=True)
class Endpoint:
    """One endpoint: its fields, what it gives back, and how its pictures look by default."""

    fields: Mapping[str, Rule]
    required: tuple[str, ...] = ("prompt",)
    default_format: str = "png"
    default_size: tuple[int, int] = (1024, 768)
    answer: tuple[str, ...] = ()
    """What stands beside the pictures: seed, timings, prompt, has_nsfw_concepts, description."""
    factor: str = ""
    """The field of an upscaler that says how much."""
    default_factor: float = 2
    measures: bool = True
    """Whether the pictures are described with width and height."""

    def problems(self, body: Mapping[str, Any]) -> list[Problem]:
        """Return what is wrong with a request. Fields that it does not know are passed over, as fal does."""
        missing = [problem(name, "missing", "Field required", {}) for name in self.required if name not in body]
        known = [each for name, rule in self.fields.items() if name in body for each in rule(name, body[name])]
        return missing + known

    def unknown(self, body: Mapping[str, Any]) -> set[str]:
        """Return the fields that the endpoint does not know."""
        return set(body) - set(self.fields)


_FLUX_ANSWER = ("seed", "timings", "prompt", "has_nsfw_concepts")
_GEMINI: Mapping[str, Rule] = {
    **FLAG,
    "prompt": text,
    "num_images": COUNT,
    "output_format": ANY_FORMAT,
    "seed": SEED,
    "limit_generations": truth,
    "safety_tolerance": one_of(*"123456"),
}
_FLUX: Mapping[str, Rule] = {
    **CHECKED,
    "prompt": text,
    "num_images": COUNT,
    "output_format": NO_WEBP,
    "seed": SEED,
    "guidance_scale": number(1, 20),
    "num_inference_steps": number(1, 50, whole=True),
    "acceleration": one_of("none", "regular", "high"),
}
_KONTEXT: Mapping[str, Rule] = {
    **FLAG,
    "prompt": text,
    "num_images": COUNT,
    "output_format": NO_WEBP,
    "seed": SEED,
    "aspect_ratio": one_of(*KONTEXT_RATIOS),
    "guidance_scale": number(1, 20),
    "enhance_prompt": truth,
    "safety_tolerance": one_of(*"123456"),
}
_FLUX_2: Mapping[str, Rule] = {
    **_FLUX,
    "output_format": ANY_FORMAT,
    "image_size": Sizes(edges=(512, 2048)),
    "enable_prompt_expansion": truth,
}
_FLUX_2_PRO: Mapping[str, Rule] = {
    **CHECKED,
    "prompt": text,
    "output_format": NO_WEBP,
    "seed": SEED,
    "image_size": Sizes(),
    "safety_tolerance": one_of(*"12345"),
}
_GPT: Mapping[str, Rule] = {**FLAG, "prompt": text, "num_images": COUNT, "output_format": ANY_FORMAT}
_GPT_15: Mapping[str, Rule] = {
    **_GPT,
    "image_size": one_of(*GPT_SIZES),
    "quality": one_of("low", "medium", "high"),
    "background": one_of("auto", "transparent", "opaque"),
}
_GPT_2_SIZES = Sizes(words=("auto",), edges=(1, 3840), pixels=(655_360, 8_294_400), multiple=16)
_GPT_2: Mapping[str, Rule] = {**_GPT, "image_size": _GPT_2_SIZES, "quality": one_of("auto", "low", "medium", "high")}
_SEEDREAM: Mapping[str, Rule] = {
    **CHECKED,
    "prompt": text,
    "num_images": number(1, 6, whole=True),
    "max_images": number(1, 6, whole=True),
    "seed": SEED,
}
_SEEDREAM_4: Mapping[str, Rule] = {
    **_SEEDREAM,
    "image_size": Sizes(words=("auto", "auto_2K", "auto_4K"), pixels=(960 * 960, 4096 * 4096)),
    "enhance_prompt_mode": one_of("standard", "fast"),
}
_SEEDREAM_45: Mapping[str, Rule] = {
    **_SEEDREAM,
    "image_size": Sizes(words=("auto_2K", "auto_4K"), pixels=(2560 * 1440, 4096 * 4096)),
}


def _gemini(ratios: tuple[str, ...], *, inputs: int = 0, resolutions: tuple[str, ...] = ()) -> Endpoint:
    extra: dict[str, Rule] = {"aspect_ratio": one_of(*ratios)}
    if resolutions:
        extra |= {"resolution": one_of(*resolutions), "enable_web_search": truth}
    if inputs:
        extra["image_urls"] = urls(inputs)
    required = ("prompt", "image_urls") if inputs else ("prompt",)
    return Endpoint(
        fields={**_GEMINI, **extra},
        required=required,
        answer=("description",),
        default_size=(1024, 1024),
        measures=False,
    )


def _flux(fields: Mapping[str, Rule], **extra: Any) -> Endpoint:
    return Endpoint(fields=fields, answer=_FLUX_ANSWER, **{"default_format": "jpeg", **extra})


_ONE, _MANY = ("prompt", "image_url"), ("prompt", "image_urls")
_PRO, _NB2 = ("1K", "2K", "4K"), ("0.5K", "1K", "2K", "4K")
_AUTO = ("auto", *RATIOS)

_MODES = ("auto", "match_input", *RATIOS, "9:21")

ENDPOINTS: Mapping[str, Endpoint] = {
    "google/nano-banana-2-lite": _gemini((*_AUTO, *EXTREME_RATIOS)),
    "fal-ai/imagen4/preview": Endpoint(
        fields={**_GEMINI, "aspect_ratio": one_of("1:1", "16:9", "9:16", "4:3", "3:4")},
        default_size=(1024, 1024),
        answer=("description",),
    ),
    "fal-ai/flux-2-max": Endpoint(fields=_FLUX_2_PRO, default_format="jpeg", answer=("seed",)),
    "fal-ai/nano-banana": _gemini(RATIOS),
    "fal-ai/nano-banana/edit": _gemini(_AUTO, inputs=10),
    "fal-ai/nano-banana-pro": _gemini(_AUTO, resolutions=_PRO),
    "fal-ai/nano-banana-pro/edit": _gemini(_AUTO, inputs=14, resolutions=_PRO),
    "fal-ai/nano-banana-2": _gemini((*_AUTO, *EXTREME_RATIOS), resolutions=_NB2),
    "fal-ai/nano-banana-2/edit": _gemini((*_AUTO, *EXTREME_RATIOS), inputs=14, resolutions=_NB2),
    "fal-ai/flux/schnell": _flux({**_FLUX, "image_size": Sizes(), "num_inference_steps": number(1, 12, whole=True)}),
    "fal-ai/flux/dev": _flux({**_FLUX, "image_size": Sizes()}),
    "fal-ai/flux-pro/v1.1": _flux({**_FLUX, "num_images": number(1, 1, whole=True), "image_size": Sizes()}),
    "fal-ai/flux-pro/v1.1-ultra": _flux(
        {**_KONTEXT, "num_images": number(1, 1, whole=True), "raw": truth}, default_size=(2048, 1152)
    ),
    "fal-ai/flux-kontext/dev": _flux(
        {**_FLUX, "num_images": number(1, 1, whole=True), "image_url": text, "resolution_mode": one_of(*_MODES)},
        required=_ONE,
    ),
    "fal-ai/flux/dev/image-to-image": _flux(
        {**_FLUX, "image_url": text, "strength": number(0.01, 1), "num_inference_steps": number(10, 50, whole=True)},
        required=_ONE,
    ),
    "fal-ai/flux-pro/kontext": _flux({**_KONTEXT, "image_url": text}, required=_ONE),
    "fal-ai/flux-pro/kontext/multi": _flux({**_KONTEXT, "image_urls": urls(4)}, required=_MANY),
    "fal-ai/flux-pro/kontext/text-to-image": _flux(_KONTEXT, default_size=(1024, 1024)),
    "fal-ai/flux-pro/kontext/max": _flux({**_KONTEXT, "image_url": text}, required=_ONE),
    "fal-ai/flux-pro/kontext/max/multi": _flux({**_KONTEXT, "image_urls": urls(4)}, required=_MANY),
    "fal-ai/flux-pro/kontext/max/text-to-image": _flux(_KONTEXT, default_size=(1024, 1024)),
    "fal-ai/flux-2": _flux(_FLUX_2, default_format="png"),
    "fal-ai/flux-2/edit": _flux({**_FLUX_2, "image_urls": urls(4)}, default_format="png", required=_MANY),
    "fal-ai/flux-2-pro": Endpoint(fields=_FLUX_2_PRO, default_format="jpeg", answer=("seed",)),
    "fal-ai/flux-2-pro/edit": Endpoint(
        fields={**_FLUX_2_PRO, "image_size": Sizes(words=("auto",)), "image_urls": urls(9)},
        required=_MANY,
        default_format="jpeg",
        answer=("seed",),
    ),
    "fal-ai/gpt-image-1.5": Endpoint(fields=_GPT_15, default_size=(1024, 1024)),
    "fal-ai/gpt-image-1.5/edit": Endpoint(
        fields={
            **_GPT_15,
            "image_size": one_of("auto", *GPT_SIZES),
            "image_urls": urls(16),
            "mask_image_url": text,
            "input_fidelity": one_of("low", "high"),
        },
        required=_MANY,
        default_size=(1024, 1024),
    ),
    "openai/gpt-image-2": Endpoint(fields=_GPT_2),
    "openai/gpt-image-2/edit": Endpoint(fields={**_GPT_2, "image_urls": urls(16), "mask_url": text}, required=_MANY),
    "fal-ai/bytedance/seedream/v4/text-to-image": Endpoint(
        fields=_SEEDREAM_4, answer=("seed",), default_size=(2048, 2048)
    ),
    "fal-ai/bytedance/seedream/v4/edit": Endpoint(
        fields={**_SEEDREAM_4, "image_urls": urls(10)}, required=_MANY, answer=("seed",), default_size=(2048, 2048)
    ),
    "fal-ai/bytedance/seedream/v4.5/text-to-image": Endpoint(
        fields=_SEEDREAM_45, answer=("seed",), default_size=(2560, 1440)
    ),
    "fal-ai/bytedance/seedream/v4.5/edit": Endpoint(
        fields={**_SEEDREAM_45, "image_urls": urls(10)}, required=_MANY, default_size=(2560, 1440)
    ),
    "fal-ai/esrgan": Endpoint(
        fields={
            "image_url": text,
            "scale": number(1, 8),
            "output_format": NO_WEBP,
            "face": truth,
            "tile": number(0, 4096, whole=True),
            "model": one_of("RealESRGAN_x4plus", "RealESRGAN_x2plus", "RealESRGAN_x4plus_anime_6B"),
        },
        required=("image_url",),
        factor="scale",
    ),
    "fal-ai/aura-sr": Endpoint(
        fields={
            "image_url": text,
            "upscale_factor": number(4, 4),
            "overlapping_tiles": truth,
            "checkpoint": one_of("v1", "v2"),
        },
        required=("image_url",),
        factor="upscale_factor",
        default_factor=4,
        answer=("timings",),
    ),
    "fal-ai/clarity-upscaler": Endpoint(
        fields={
            "image_url": text,
            "prompt": text,
            "upscale_factor": number(1, 4),
            "creativity": number(0, 1),
            "resemblance": number(0, 1),
            "seed": SEED,
            "enable_safety_checker": truth,
        },
        required=("image_url",),
        factor="upscale_factor",
        answer=("seed", "timings"),
    ),
    "fal-ai/topaz/upscale/image": Endpoint(
        fields={
            "image_url": text,
            "upscale_factor": number(1, 4),
            "model": one_of("Low Resolution V2", "Standard V2", "CGI", "High Fidelity V2", "Redefine"),
            "output_format": NO_WEBP,
            "face_enhancement": truth,
        },
        required=("image_url",),
        factor="upscale_factor",
        default_format="jpeg",
        measures=False,
    ),
    "fal-ai/seedvr/upscale/image": Endpoint(
        fields={
            **FLAG,
            "image_url": text,
            "upscale_mode": one_of("factor", "target"),
            "upscale_factor": number(1, 10),
            "target_resolution": one_of("720p", "1080p", "1440p", "2160p"),
            "noise_scale": number(0, 1),
            "output_format": one_of("png", "jpg", "webp"),
            "seed": SEED,
        },
        required=("image_url",),
        factor="upscale_factor",
        default_format="jpg",
        answer=("seed",),
    ),
}
