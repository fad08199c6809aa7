"""The tools as agents see them: names, descriptions, and schemas made from the catalogue."""

from collections.abc import Iterable, Sequence
from typing import Any, Final

from imageservice.v1.image_pb2 import Model
from mcp.types import Tool, ToolAnnotations

from limner.domain import limits

Json = dict[str, Any]

GENERATE, EDIT, UPSCALE = "generate_image", "edit_image", "upscale_image"
LIST, GET, MODELS = "list_images", "get_image", "list_models"

MAX_LISTED: Final = 50
_READS: Final = ToolAnnotations(read_only_hint=True, open_world_hint=False)
_MAKES: Final = ToolAnnotations(read_only_hint=False, destructive_hint=False, idempotent_hint=False)
_IMAGE_ID: Final[Json] = {"type": "string", "description": "The id of an image, 32 hexadecimal digits."}
_KEY: Final[Json] = {
    "type": "string",
    "minLength": 1,
    "maxLength": 128,
    "description": "Makes the call safe to repeat: the same key and arguments give the same images, bought once.",
}


def tools_for(models: Sequence[Model]) -> list[Tool]:
    """Return the tools that these models allow."""
    making = (
        (GENERATE, "generate", _generate),
        (EDIT, "edit", _edit),
        (UPSCALE, "upscale", _upscale),
    )
    able = {operation: [model for model in models if operation in model.operations] for _, operation, _ in making}
    return [*(make(able[operation]) for _, operation, make in making if able[operation]), *_reading()]


def _generate(models: Sequence[Model]) -> Tool:
    fields = _common(models, "generate") | {"aspect_ratio": _ratios(models, leave_out="auto")}
    return _tool(
        GENERATE,
        "Make new images from a prompt. A paid model may be asked, so call it once for what you need. " + _told(models),
        fields,
        required=("prompt",),
    )


def _edit(models: Sequence[Model]) -> Tool:
    most = max(model.max_input_images for model in models)
    inputs = {"type": "array", "items": _IMAGE_ID, "minItems": 1, "maxItems": most}
    fields = {"image_ids": inputs | {"description": "The images to start from, each made or uploaded by you."}}
    fields |= _common(models, "edit") | {"aspect_ratio": _ratios(models)}
    return _tool(
        EDIT,
        "Make new images from existing ones and a prompt; the existing ones stay. " + _told(models),
        fields,
        required=("image_ids", "prompt"),
    )


def _upscale(models: Sequence[Model]) -> Tool:
    factors = sorted({factor for model in models for factor in model.upscale_factors})
    told = "; ".join(f"{model.id}: {', '.join(map(str, model.upscale_factors))}" for model in models)
    fields: Json = {
        "image_id": _IMAGE_ID,
        "model": {"type": "string", "enum": [model.id for model in models]},
        "factor": {"type": "integer", "enum": factors, "description": f"By model: {told}."},
        "output_format": _formats(models),
        "idempotency_key": _KEY,
    }
    return _tool(UPSCALE, "Make one image larger.", fields, required=("image_id", "model", "factor"))


def _reading() -> Iterable[Tool]:
    page: Json = {
        "limit": {"type": "integer", "minimum": 1, "maximum": MAX_LISTED, "default": 10},
        "page_token": {"type": "string", "description": "The next_page_token of the page before."},
        "generation_id": {"type": "string", "description": "Only the images of this generation."},
    }
    yield _tool(LIST, "List the images of the workspace, newest first.", page, annotations=_READS)
    yield _tool(GET, "Show one image and the facts about it.", {"image_id": _IMAGE_ID}, ("image_id",), _READS)
    yield _tool(MODELS, "List the models, what each can do and costs, and whether it is ready.", {}, annotations=_READS)


def _tool(
    name: str, description: str, fields: Json, required: Sequence[str] = (), annotations: ToolAnnotations = _MAKES
) -> Tool:
    schema: Json = {"type": "object", "properties": fields, "additionalProperties": False}
    if required:
        schema["required"] = [*required]
    return Tool(name=name, description=description, input_schema=schema, annotations=annotations)


def _common(models: Sequence[Model], operation: str) -> Json:
    default = next((model.id for model in models if operation in model.default_for), None)
    model: Json = {"type": "string", "enum": [each.id for each in models]}
    fields: Json = {
        "prompt": {"type": "string", "minLength": 1, "maxLength": max(each.max_prompt_chars for each in models)},
        "model": model | ({"default": default} if default else {}),
        "num_images": {
            "type": "integer",
            "minimum": 1,
            "maximum": max(each.max_images for each in models),
            "default": 1,
        },
        "output_format": _formats(models),
        "idempotency_key": _KEY,
    }
    if any(each.seeds for each in models):
        fields["seed"] = {"type": "integer", "minimum": 0, "maximum": limits.MAX_SEED}
    return fields


def _ratios(models: Sequence[Model], leave_out: str = "") -> Json:
    shapes = _union(model.aspect_ratios for model in models)
    return {"type": "string", "enum": [each for each in shapes if each != leave_out]}


def _formats(models: Sequence[Model]) -> Json:
    return {"type": "string", "enum": _union(model.output_formats for model in models)}


def _union(lists: Iterable[Iterable[str]]) -> list[str]:
    return list(dict.fromkeys(each for values in lists for each in values))


def _told(models: Sequence[Model]) -> str:
    """Return what one schema for all models can't say: which of them draws which shapes."""
    every = set(_union(model.aspect_ratios for model in models))
    less = [model for model in models if set(model.aspect_ratios) != every]
    return "".join(f"{model.id} draws {', '.join(model.aspect_ratios)} only. " for model in less).strip()
