"""How each server reads a request for pictures, what it refuses, and how it answers.

From the vendors' packages and sources: openai 3.54.0, stable-diffusion.cpp 97d2990, LocalAI 82c191a,
vllm-omni 0.30.0, sglang 0.5.23, litellm 1.109.1.
"""

import base64
import json
import re
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar, Final

from aiohttp import web

MIB: Final = 1 << 20
GENERATE, EDIT, UPSCALE = "generate", "edit", "upscale"
_SD_CPP_ARGS: Final = re.compile(r"<sd_cpp_extra_args>(.*?)</sd_cpp_extra_args>")
_MAGIC: Final = (b"\x89PNG", b"\xff\xd8\xff", b"RIFF")
_CLASSIC_SIZES: Final = ("1024x1024", "1536x1024", "1024x1536")
_CLASSIC_MODELS: Final = ("gpt-image-1-mini", "gpt-image-1.5", "chatgpt-image-latest")
_ANY_SIZE_MODELS: Final = (
    "a-deployment",  # such as Azure's, whose names are their owner's
    "gpt-image-2",
    "gpt-image-2-2026-04-21",
    "gpt-image-2.5-sunburst",
    "gpt-image-2.5-sunburst-2026-09-08",
    "gpt-image-2.5-flare",
    "gpt-image-2.5-flare-2026-09-08",
    "gpt-image-2.6-sunburst",
    "gpt-image-2.6-flare",
)


class Refusal(Exception):  # noqa: N818 what a vendor would say, not a fault of the fake
    """A definite no."""

    def __init__(
        self,
        status: int,
        message: str,
        *,
        code: str | None = None,
        kind: str = "invalid_request_error",
        param: str | None = None,
        headers: Mapping[str, str] | None = None,
        extra: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__(message)
        self.status, self.message, self.code, self.kind, self.param = status, message, code, kind, param
        self.headers: Mapping[str, str] = headers or {}
        self.extra: Mapping[str, Any] = extra or {}


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """A request that was understood."""

    operation: str
    model: str
    prompt: str
    count: int = 1
    width: int = 1024
    height: int = 1024
    size: str = ""
    """As it was sent."""
    output_format: str = "png"
    quality: str = "auto"
    response_format: str = "b64_json"
    stream: bool = False
    partial_images: int = 0
    seed: int | None = None
    negative_prompt: str = ""
    inputs: tuple[bytes, ...] = ()
    input_field: str = ""
    scale: int = 0
    extra_args: Mapping[str, Any] = field(default_factory=dict)
    """What stable-diffusion.cpp took out of the prompt."""

    @property
    def seeds(self) -> bool:
        """Whether a seed was sent."""
        return self.seed is not None

    @property
    def plain_prompt(self) -> str:
        """What is painted."""
        return _SD_CPP_ARGS.sub("", self.prompt)

    def seed_of(self, index: int) -> int | None:
        """Return the seed of a picture."""
        return None if self.seed is None else self.seed + index

    def usage(self) -> dict[str, Any]:
        """Return the tokens."""
        text, images, made = len(self.prompt) // 4 + 1, 300 * len(self.inputs), 1056 * self.count
        return {
            "input_tokens": text + images,
            "output_tokens": made,
            "total_tokens": text + images + made,
            "input_tokens_details": {"image_tokens": images, "text_tokens": text},
            "output_tokens_details": {"image_tokens": made, "text_tokens": 0},
        }


Form = tuple[dict[str, Any], tuple[bytes, ...], str]
"""The plain fields, the pictures, and the field that these came in."""


class Dialect:
    """OpenAI itself. The others are what differs from it."""

    name: ClassVar[str] = "openai"
    has_keys: ClassVar[bool] = True
    routes: ClassVar[tuple[tuple[str, str], ...]] = (("/v1/images/generations", GENERATE), ("/v1/images/edits", EDIT))
    result_path: ClassVar[str] = "/generated-images/{name}"
    fields: ClassVar[frozenset[str]] = frozenset(
        {"prompt", "model", "n", "size", "quality", "output_format", "output_compression", "background", "moderation"}
        | {"stream", "partial_images", "safety_identifier", "user", "complexity"}
    )
    edit_fields: ClassVar[frozenset[str]] = fields - {"moderation"} | {"input_fidelity", "markup"}
    max_inputs: ClassVar[int] = 16

    async def read(self, request: web.Request, operation: str) -> Wanted:
        """Return what is asked for, or raise ``Refusal``."""
        if operation == GENERATE:
            form: Form = (await self.json_fields(request), (), "")
        else:
            form = await self._edit_form(request)
        fields, inputs, name = form
        self.check_fields(fields, operation, inputs)
        return self.wanted(operation, fields, inputs, name)

    async def json_fields(self, request: web.Request) -> dict[str, Any]:
        """Return the fields of a JSON body."""
        if request.content_type != "application/json":
            raise Refusal(415, f"Unsupported content type: '{request.content_type}'.")
        try:
            fields = json.loads(await request.read())
        except ValueError as error:
            raise Refusal(400, "We could not parse the JSON body of your request.") from error
        return {name: value for name, value in fields.items() if value is not None}

    async def _edit_form(self, request: web.Request) -> Form:
        if request.content_type == "application/json":
            fields = await self.json_fields(request)
            return fields, tuple(_data_uri(each) for each in fields.pop("images", [])), "images"
        return await multipart(request)

    def check_fields(self, fields: dict[str, Any], operation: str, inputs: tuple[bytes, ...]) -> None:
        """Refuse what the vendor refuses."""
        allowed = self.fields if operation == GENERATE else self.edit_fields
        for name in fields:
            if name not in allowed:
                raise Refusal(400, f"Unknown parameter: '{name}'.", code="unknown_parameter", param=name)
        if not fields.get("prompt"):
            raise Refusal(400, "Missing required parameter.", code="missing_required_parameter", param="prompt")
        if len(fields["prompt"]) > 32_000:
            raise Refusal(400, "Prompt too long.", code="string_above_max_length", param="prompt")
        if operation == EDIT and not 1 <= len(inputs) <= self.max_inputs:
            raise Refusal(400, "Expected 1 to 16 images.", code="invalid_value", param="image")
        for data in inputs:
            if not data.startswith(_MAGIC) or len(data) >= 50 * MIB:
                raise Refusal(400, "Invalid image file or mode.", code="invalid_image_file", param="image")
        self.check_values(fields)

    def check_values(self, fields: dict[str, Any]) -> None:
        """Refuse values that the model can't do."""
        model = fields.get("model", "")
        if model not in (*_CLASSIC_MODELS, *_ANY_SIZE_MODELS):
            raise Refusal(404, f"The model '{model}' does not exist.", code="model_not_found", param="model")
        _one_of(fields, "quality", ("auto", "low", "medium", "high", *(("xhigh", "max") if "2.5" in model else ())))
        _one_of(fields, "output_format", ("png", "jpeg", "webp"))
        count, partials = int(fields.get("n", 1)), int(fields.get("partial_images", 0))
        stream = _truth(fields, "stream")
        _range("n", count, 1, 10)
        _range("partial_images", partials, 0, 3)
        if "partial_images" in fields and not stream:
            raise Refusal(400, "partial_images needs stream.", code="invalid_value", param="partial_images")
        if stream and count > 1:  # not documented: the careful reading
            raise Refusal(400, "Streaming is one image at a time.", code="invalid_value", param="n")
        _check_size(str(fields.get("size", "auto")), any_size=model in _ANY_SIZE_MODELS)

    def wanted(self, operation: str, fields: dict[str, Any], inputs: tuple[bytes, ...], name: str) -> Wanted:
        """Return the request, with the server's defaults."""
        width, height = self.dimensions(str(fields.get("size", "")))
        return Wanted(
            operation=operation,
            model=str(fields.get("model", "")),
            prompt=str(fields.get("prompt", "")),
            count=self.count(int(fields.get("n", 1))),
            width=width,
            height=height,
            size=str(fields.get("size", "")),
            output_format=self.format(str(fields.get("output_format", "")), operation),
            quality=str(fields.get("quality", "auto")),
            response_format=str(fields.get("response_format", self.default_response_format(operation))),
            stream=_truth(fields, "stream"),
            partial_images=int(fields.get("partial_images", 0)),
            seed=self.seed(fields),
            inputs=inputs,
            input_field=name,
            scale=int(fields.get("scale", 0)),
        )

    def dimensions(self, size: str) -> tuple[int, int]:
        """Return width and height for a size as it was sent."""
        return parsed_size(size) or (1024, 1024)

    def count(self, count: int) -> int:
        """Return how many pictures are made."""
        return count

    def format(self, asked: str, operation: str) -> str:
        """Return the format that pictures come in."""
        return asked or "png"

    def default_response_format(self, operation: str) -> str:
        """Return what an answer holds when nothing is said."""
        return "b64_json"

    def seed(self, fields: dict[str, Any]) -> int | None:
        """Return the seed that is used."""
        return None

    def error(self, refusal: Refusal) -> dict[str, Any]:
        """Return the body of a refusal."""
        named = {"message": refusal.message, "type": refusal.kind, "param": refusal.param, "code": refusal.code}
        return {"error": named | dict(refusal.extra)}

    def answer(self, data: list[dict[str, Any]], wanted: Wanted) -> dict[str, Any]:
        """Return the body of an answer."""
        return {
            "created": int(time.time()),
            "background": "opaque",
            "data": data,
            "output_format": wanted.output_format,
            "quality": wanted.quality,
            "size": f"{wanted.width}x{wanted.height}",
            "usage": wanted.usage(),
        }


class StableDiffusionCpp(Dialect):
    """sd-server: errors are texts, the seed hides in the prompt, more than 8 pictures are silently 8."""

    name = "stable-diffusion.cpp"
    has_keys = False

    def check_fields(self, fields: dict[str, Any], operation: str, inputs: tuple[bytes, ...]) -> None:
        if not fields.get("prompt"):
            raise Refusal(400, "prompt required")
        if operation == EDIT and not inputs:
            raise Refusal(400, "at least one image[] required")
        formats = ("png", "jpeg", "webp") if operation == GENERATE else ("png", "jpeg")
        if fields.get("output_format", "png") not in formats:
            raise Refusal(400, "invalid output_format, must be one of [png, jpeg, webp]")
        match = _SD_CPP_ARGS.search(fields["prompt"])
        if match and not isinstance(_json_or_none(match[1]), dict):
            raise Refusal(400, "invalid sd_cpp_extra_args")

    def wanted(self, operation: str, fields: dict[str, Any], inputs: tuple[bytes, ...], name: str) -> Wanted:
        match = _SD_CPP_ARGS.search(fields["prompt"])
        extra_args = json.loads(match[1]) if match else {}
        wanted = super().wanted(operation, {**fields, "seed": extra_args.get("seed")}, inputs, name)
        return replace(wanted, extra_args=extra_args)

    def seed(self, fields: dict[str, Any]) -> int | None:
        return None if fields["seed"] is None else int(fields["seed"])

    def dimensions(self, size: str) -> tuple[int, int]:
        width, height = parsed_size(size) or (512, 512)
        return -(-width // 64) * 64, -(-height // 64) * 64

    def count(self, count: int) -> int:
        return max(1, min(count, 8))

    def error(self, refusal: Refusal) -> dict[str, Any]:
        if refusal.status == 500:
            return {"error": "server_error", "message": refusal.message}
        return {"error": refusal.message}

    def answer(self, data: list[dict[str, Any]], wanted: Wanted) -> dict[str, Any]:
        return {"created": int(time.time()), "data": data, "output_format": wanted.output_format}


class LocalAi(Dialect):
    """LocalAI: addresses unless told otherwise, ``|`` splits the prompt, PNG always, one seed for all of a call."""

    name = "localai"
    routes = (("/v1/images/generations", GENERATE), ("/v1/images/upscale", UPSCALE))

    def check_fields(self, fields: dict[str, Any], operation: str, inputs: tuple[bytes, ...]) -> None:
        if operation == UPSCALE and (not inputs or int(fields.get("scale", 0)) not in (2, 4)):
            raise Refusal(400, "scale must be 2 or 4")
        if operation == GENERATE and not fields.get("prompt"):
            raise Refusal(500, "prompt is empty")

    def wanted(self, operation: str, fields: dict[str, Any], inputs: tuple[bytes, ...], name: str) -> Wanted:
        positive, _, negative = str(fields.get("prompt", "")).partition("|")
        wanted = super().wanted(operation, {**fields, "prompt": positive}, inputs, name)
        return replace(wanted, negative_prompt=negative)

    def dimensions(self, size: str) -> tuple[int, int]:
        return parsed_size(size) or (512, 512)

    def format(self, asked: str, operation: str) -> str:
        return "png"

    def default_response_format(self, operation: str) -> str:
        return "url"

    def seed(self, fields: dict[str, Any]) -> int | None:
        return int(fields["seed"]) if "seed" in fields else None

    def error(self, refusal: Refusal) -> dict[str, Any]:
        return {"error": {"code": refusal.status, "message": refusal.message, "type": ""}}

    def answer(self, data: list[dict[str, Any]], wanted: Wanted) -> dict[str, Any]:
        return {"created": int(time.time()), "id": "a-uuid", "data": data}


class VllmOmni(Dialect):
    """vLLM-Omni: one model, an int for the code of an error, ``auto`` only for edits."""

    name = "vllm-omni"
    served_model: ClassVar[str] = "Qwen/Qwen-Image"

    def check_fields(self, fields: dict[str, Any], operation: str, inputs: tuple[bytes, ...]) -> None:
        if fields.get("model", self.served_model) != self.served_model:
            raise Refusal(400, f"Model mismatch: request specifies '{fields['model']}'.")
        if fields.get("response_format", "b64_json") not in ("b64_json", "file"):
            raise Refusal(400, "Only 'b64_json' or 'file' response format is supported")
        if not 1 <= int(fields.get("n", 1)) <= 10:
            raise Refusal(400, "n must be between 1 and 10")
        size = str(fields.get("size", "auto" if operation == EDIT else "1024x1024"))
        if not parsed_size(size) and (operation == GENERATE or size != "auto"):
            raise Refusal(400, "size must be in format 'WIDTHxHEIGHT'")

    def format(self, asked: str, operation: str) -> str:
        if asked in ("png", "jpeg", "jpg", "webp"):
            return asked.replace("jpg", "jpeg")
        return "png" if operation == GENERATE else "jpeg"

    def seed(self, fields: dict[str, Any]) -> int | None:
        return int(fields["seed"]) if "seed" in fields else None

    def error(self, refusal: Refusal) -> dict[str, Any]:
        phrase = {400: "Bad Request", 404: "Not Found", 429: "Too Many Requests", 500: "Internal Server Error"}
        kind = phrase.get(refusal.status, "Error")
        return {"error": {"message": refusal.message, "type": kind, "param": None, "code": refusal.status}}

    def answer(self, data: list[dict[str, Any]], wanted: Wanted) -> dict[str, Any]:
        filled = [{"b64_json": None, "url": None, "revised_prompt": None} | each for each in data]
        size = f"{wanted.width}x{wanted.height}"
        return {"created": int(time.time()), "data": filled, "output_format": wanted.output_format, "size": size}


class SgLang(Dialect):
    """SGLang: ``detail`` for an error, addresses by default that it then can't give, JPEG unless told otherwise."""

    name = "sglang"
    result_path = "/v1/images/{name}/content"

    def check_fields(self, fields: dict[str, Any], operation: str, inputs: tuple[bytes, ...]) -> None:
        if "prompt" not in fields or (operation == EDIT and not inputs):
            raise Refusal(422, "Field 'image' is required")
        if operation == GENERATE and fields.get("response_format", "url") == "url":
            raise Refusal(400, "response_format=url is not supported")
        if "size" in fields and not parsed_size(str(fields["size"])):
            raise Refusal(422, "size must be WIDTHxHEIGHT")

    def count(self, count: int) -> int:
        return max(1, min(count, 10))

    def format(self, asked: str, operation: str) -> str:
        return asked.replace("jpg", "jpeg") if asked in ("png", "webp", "jpeg", "jpg") else "jpeg"

    def seed(self, fields: dict[str, Any]) -> int | None:
        return int(fields["seed"]) if "seed" in fields else None

    def error(self, refusal: Refusal) -> dict[str, Any]:
        return {"error": refusal.message} if refusal.status == 503 else {"detail": refusal.message}

    def answer(self, data: list[dict[str, Any]], wanted: Wanted) -> dict[str, Any]:
        filled = [each | {"revised_prompt": wanted.prompt, "file_path": None} for each in data]
        return {"id": "an-id", "created": int(time.time()), "data": filled}


class LiteLlm(Dialect):
    """LiteLLM's proxy: the provider's answer with all fields, a code that is a text, errors wrapped in errors."""

    name = "litellm"

    def check_values(self, fields: dict[str, Any]) -> None:
        if not fields.get("model"):
            raise Refusal(400, "Invalid model name passed in model=None", code="400")

    def error(self, refusal: Refusal) -> dict[str, Any]:
        wrapped = {400: "BadRequestError", 401: "AuthenticationError", 429: "RateLimitError"}.get(refusal.status)
        if refusal.code == "moderation_blocked":
            wrapped = "ContentPolicyViolationError"
        message = f"litellm.{wrapped}: OpenAIException - {refusal.message}" if wrapped else refusal.message
        return {"error": {"message": message, "type": None, "param": None, "code": str(refusal.status)}}

    def answer(self, data: list[dict[str, Any]], wanted: Wanted) -> dict[str, Any]:
        filled = [{"b64_json": None, "url": None, "revised_prompt": None} | each for each in data]
        return super().answer(filled, wanted)


DIALECTS: Final[Mapping[str, Dialect]] = {
    kind.name: kind() for kind in (Dialect, StableDiffusionCpp, LocalAi, VllmOmni, SgLang, LiteLlm)
}


async def multipart(request: web.Request) -> Form:
    """Return the parts of a form; ``image`` or ``image[]`` may hold several pictures, beside one ``mask``."""
    if request.content_type != "multipart/form-data":
        raise Refusal(415, "Content-Type must be multipart/form-data")
    fields: dict[str, Any] = {}
    files: dict[str, list[bytes]] = {}
    for name, file_name, data in _parts(await request.read(), request.headers["Content-Type"]):
        if file_name:
            files.setdefault(name, []).append(data)
        else:
            fields[name] = data.decode()
    if len(files.pop("mask", [])) > 1:
        raise Refusal(400, "Duplicate parameter: 'mask'.", code="duplicate_parameter", param="mask")
    if len(files) > 1 or not files.keys() <= {"image", "image[]"}:
        raise Refusal(400, f"Unknown parameter: '{', '.join(files)}'.", code="unknown_parameter")
    name = next(iter(files), "")
    if name == "image" and len(files[name]) > 1:
        raise Refusal(400, "Duplicate parameter: 'image'.", code="duplicate_parameter", param="image")
    return fields, tuple(files.get(name, ())), name


def _parts(body: bytes, content_type: str) -> Iterator[tuple[str, str, bytes]]:
    """Yield name, file name and content of each part (RFC 7578)."""
    boundary = re.search(r'boundary="?([^";]+)', content_type)
    if boundary is None:
        raise Refusal(400, "There is no boundary.")
    start, *parts, end = (b"\r\n" + body).split(f"\r\n--{boundary[1]}".encode())
    if start or end.strip() != b"--":
        raise Refusal(400, "The form is cut off.")
    for part in parts:
        head, _, content = part.removeprefix(b"\r\n").partition(b"\r\n\r\n")
        named = dict(re.findall(r'\b(name|filename)="([^"]*)"', head.decode()))
        yield named["name"], named.get("filename", ""), content


def parsed_size(size: str) -> tuple[int, int] | None:
    """Return width and height of ``WxH``."""
    match = re.fullmatch(r"(\d+)x(\d+)", size)
    return (int(match[1]), int(match[2])) if match else None


def _check_size(size: str, *, any_size: bool) -> None:
    if size == "auto" or size in _CLASSIC_SIZES:
        return
    width, height = parsed_size(size) or (0, 0)
    legal = (
        any_size
        and width > 0
        and width % 16 == height % 16 == 0
        and max(width, height) <= 3840
        and max(width, height) <= 3 * min(width, height)
        and 655_360 <= width * height <= 8_294_400
    )
    if not legal:
        raise Refusal(400, f"Invalid value: '{size}'.", code="invalid_value", param="size")


def _one_of(fields: dict[str, Any], name: str, allowed: tuple[str, ...]) -> None:
    if name in fields and fields[name] not in allowed:
        raise Refusal(400, f"Invalid value: '{fields[name]}'.", code="invalid_value", param=name)


def _range(name: str, value: int, low: int, high: int) -> None:
    if not low <= value <= high:
        raise Refusal(400, f"Invalid '{name}': expected {low} to {high}.", code="integer_out_of_range", param=name)


def _truth(fields: dict[str, Any], name: str) -> bool:
    return str(fields.get(name, "false")).lower() == "true"


def _data_uri(reference: dict[str, str]) -> bytes:
    head, _, data = reference.get("image_url", "").partition(",")
    if not head.endswith(";base64"):
        raise Refusal(400, "Expected a data URL.", code="invalid_value", param="images")
    return base64.b64decode(data)


def _json_or_none(text: str) -> object:
    try:
        return json.loads(text)
    except ValueError:
        return None
