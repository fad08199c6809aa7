"""What Gemini's image models accept, and what they draw: from google-genai 3.4.0 and Google's model pages.

Written apart from the adapter's own table, so that a mistake there is seen.
"""

import base64
import binascii
import io
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from PIL import Image, UnidentifiedImageError

Json = Mapping[str, Any]

SIZES = {
    "1:1": (1024, 1024), "2:3": (832, 1248), "3:2": (1248, 832), "3:4": (864, 1184), "4:3": (1184, 864),
    "4:5": (896, 1152), "5:4": (1152, 896), "9:16": (768, 1344), "16:9": (1344, 768), "21:9": (1536, 672),
}  # fmt: skip
"""Width and height at 1K, by ratio."""

LONG_SIZES = {"1:4": (512, 2048), "4:1": (2048, 512), "1:8": (352, 2816), "8:1": (2816, 352)}

_NUMBERS = {
    1: "ONE",
    2: "TWO",
    3: "THREE",
    4: "FOUR",
    5: "FIVE",
    8: "EIGHT",
    9: "NINE",
    16: "SIXTEEN",
    21: "TWENTY_ONE",
}


@dataclass(frozen=True, slots=True)
class GeminiSpec:
    """One model."""

    content_type: str
    """What it answers with."""
    max_inputs: int
    image_sizes: tuple[str, ...]
    long_ratios: bool = False

    @property
    def sizes(self) -> Mapping[str, tuple[int, int]]:
        """Width and height by ratio."""
        return SIZES | LONG_SIZES if self.long_ratios else SIZES


MODELS = {
    "gemini-2.5-flash-image": GeminiSpec("image/png", 3, ("1K",)),
    "gemini-3.1-flash-image": GeminiSpec("image/jpeg", 14, ("512", "1K", "2K", "4K"), long_ratios=True),
    "gemini-3-pro-image": GeminiSpec("image/jpeg", 14, ("1K", "2K", "4K")),
}

RETIRED = ("imagen-4.0-generate-001", "imagen-4.0-ultra-generate-001", "imagen-4.0-fast-generate-001")

_STANDARD = str.maketrans("-_", "+/")
_TOP_FIELDS = {"contents", "generationConfig", "safetySettings", "systemInstruction", "tools", "toolConfig", "labels"}
_PART_FIELDS = {"text", "inlineData", "fileData", "thought"}
_CONFIG_FIELDS = {"responseModalities", "imageConfig", "responseFormat", "seed", "candidateCount", "temperature"}
_IMAGE_FIELDS = {"aspectRatio", "imageSize"}
_VERTEX_IMAGE_FIELDS = {"imageOutputOptions", "personGeneration", "prominentPeople"}
_FORMAT_FIELDS = {"aspectRatio", "imageSize", "delivery", "mimeType"}


class InvalidArgumentError(Exception):
    """The request is wrong; the message is what Google says."""


@dataclass(frozen=True, slots=True)
class Wish:
    """What a right request asks for."""

    prompt: str
    inputs: tuple[bytes, ...]
    size: tuple[int, int]
    seed: int | None
    words: bool
    """Whether text may come with the picture."""


def understood(model: GeminiSpec, body: Json, *, vertex: bool) -> Wish:
    """Return what a request asks for, or raise ``InvalidArgumentError``."""
    _known(body, _TOP_FIELDS, "")
    parts = [part for content in body.get("contents", []) for part in content["parts"]]
    if not parts:
        raise InvalidArgumentError("* GenerateContentRequest.contents: contents is not specified\n")
    for content in body["contents"]:
        if vertex and content.get("role") not in ("user", "model"):
            raise InvalidArgumentError("Please use a valid role: user, model.")
    for part in parts:
        _known(part, _PART_FIELDS, "contents[0].parts[0]")
    config = body.get("generationConfig", {})
    _check_config(config, vertex=vertex)
    if (image_size := config.get("imageConfig", {}).get("imageSize", "1K")) not in model.image_sizes:
        raise InvalidArgumentError(f"image_size must be one of {model.image_sizes}, is {image_size}.")
    inputs = tuple(_inputs(parts))
    if len(inputs) > model.max_inputs:
        raise InvalidArgumentError(f"Request contains too many images: at most {model.max_inputs}.")
    return Wish(
        prompt="\n".join(part["text"] for part in parts if "text" in part),
        inputs=inputs,
        size=_size(model, _ratio(config), inputs),
        seed=_seed(config),
        words="TEXT" in config.get("responseModalities", ["TEXT", "IMAGE"]),
    )


def _known(value: Json, fields: set[str], where: str) -> None:
    if unknown := set(value) - fields:
        name = min(unknown)
        raise InvalidArgumentError(
            f"Invalid JSON payload received. Unknown name \"{name}\" at '{where}': Cannot find field."
        )


def _check_config(config: Json, *, vertex: bool) -> None:
    _known(config, _CONFIG_FIELDS if vertex else _CONFIG_FIELDS - {"responseFormat"}, "generation_config")
    image_fields = _IMAGE_FIELDS | _VERTEX_IMAGE_FIELDS if vertex else _IMAGE_FIELDS
    _known(config.get("imageConfig", {}), image_fields, "generation_config.image_config")
    for each in config.get("responseFormat", []):
        _known(each.get("image", {}), _FORMAT_FIELDS, "generation_config.response_format[0].image")
    if config.get("candidateCount", 1) > 1:
        raise InvalidArgumentError("Multiple candidates is not enabled for this model")
    if "IMAGE" not in config.get("responseModalities", ["IMAGE"]):
        raise InvalidArgumentError("The requested combination of response modalities is not supported by the model.")


def _inputs(parts: list[Json]) -> Iterator[bytes]:
    for part in parts:
        if "inlineData" not in part:
            continue
        try:
            # Both alphabets are base64 to protobuf; Google's SDK sends the one for addresses.
            data = base64.b64decode(part["inlineData"]["data"].translate(_STANDARD), validate=True)
            with Image.open(io.BytesIO(data)) as opened:
                opened.load()
        except binascii.Error:
            raise InvalidArgumentError(
                "Invalid value at 'contents[0].parts[0].inline_data.data' (TYPE_BYTES)"
            ) from None
        except (UnidentifiedImageError, OSError):
            raise InvalidArgumentError(
                "Unable to process input image. Please retry or report in "
                "https://developers.generativeai.google/guide/troubleshooting"
            ) from None
        yield data


def _ratio(config: Json) -> str:
    for each in config.get("responseFormat", []):
        return _by_name(each.get("image", {}).get("aspectRatio", ""))
    return str(config.get("imageConfig", {}).get("aspectRatio", ""))


def _by_name(name: str) -> str:
    names = {
        f"ASPECT_RATIO_{_NUMBERS[int(w)]}_BY_{_NUMBERS[int(h)]}": f"{w}:{h}"
        for w, h in (ratio.split(":") for ratio in SIZES | LONG_SIZES)
    }
    if name and name not in names:
        raise InvalidArgumentError(
            f"Invalid value at 'generation_config.response_format[0].image.aspect_ratio': {name}"
        )
    return names.get(name, "")


def _size(model: GeminiSpec, ratio: str, inputs: tuple[bytes, ...]) -> tuple[int, int]:
    if not ratio and inputs:
        with Image.open(io.BytesIO(inputs[0])) as opened:
            shape = opened.width / opened.height
        return min(SIZES.values(), key=lambda size: abs(size[0] / size[1] - shape))
    if (ratio or "1:1") not in model.sizes:
        allowed = ", ".join(f"'{each}'" for each in model.sizes)
        raise InvalidArgumentError(f"aspect_ratio must be one of {allowed}.")
    return model.sizes[ratio or "1:1"]


def _seed(config: Json) -> int | None:
    seed = config.get("seed")
    if seed is not None and not -(2**31) <= seed < 2**31:
        raise InvalidArgumentError(f"Invalid value at 'generation_config.seed' (TYPE_INT32), {seed}")
    return seed
