"""The paths that are no calls of the contract: they have no place in the descriptor."""

from typing import Any, Final

from limner.domain import limits
from limner.domain.derivative import DerivativeFormat
from limner.domain.image import OutputFormat
from limner.domain.task import ASPECT_RATIOS
from limner.web.openai.bodies import MAX_EDIT_JSON_BYTES, MAX_FORM_BYTES
from limner.web.openai.errors import NOT_HERE
from limner.web.openai.wishes import B64_JSON, MAX_PARTIAL_IMAGES, MAX_USER_CHARS, URL
from tools.openapi.failures import DESCRIPTIONS, failures

Json = dict[str, Any]

OPENAI: Final = "OpenAI"
AGENTS: Final = "MCP"
SERVICE: Final = "Service"
TAGS: Final[dict[str, str]] = {
    OPENAI: "OpenAI's Images API, for its SDKs: base address `/v1/workspaces/{workspaceId}/openai`, API key = token.",
    AGENTS: "The Model Context Protocol, for agents.",
    SERVICE: "Probes and this description, without a token.",
}
BASE: Final = "/v1/workspaces/{workspaceId}/openai"
REQUEST_ID: Final[Json] = {"x-request-id": {"$ref": "#/components/headers/RequestId"}}
WORKSPACE: Final[Json] = {
    "name": "workspaceId",
    "in": "path",
    "required": True,
    "description": "The workspace.",
    "schema": {"type": "string", "minLength": 1, "maxLength": limits.MAX_IDENTIFIER_CHARS},
}
KEY: Final[Json] = {"$ref": "#/components/parameters/IdempotencyKey"}
OPEN_FAILURES: Final = (400, 404, 408, 415, 431, 500, 503, 504)
"""What Envoy and the listener may answer to any request; 415 is that of what no door takes."""

OPENAI_FAILURES: Final = (400, 401, 403, 404, 409, 413, 429, 431, 499, 500, 503)
GATEWAY_FAILURES: Final = (408, 415, 504)
"""Told in the service's own shape: the gateway answers before any door."""


def paths() -> dict[str, Json]:
    """Return each path with its operations."""
    return {
        f"{BASE}/images/generations": {"post": _images("createImage", "Generates images.", _generation_body())},
        f"{BASE}/images/edits": {"post": _images("createImageEdit", "Edits images.", _edit_body())},
        f"{BASE}/content_provenance_checks": {"post": _check()},
        f"{BASE}/models": {"get": _models("listOpenAiModels", "Lists the models.", "OpenAiModels")},
        f"{BASE}/models/{{model}}": {
            "get": _models("retrieveOpenAiModel", "Gets one model.", "OpenAiModel", parameters=[MODEL])
        },
        "/v1/workspaces/{workspaceId}/mcp": {"post": _agents()},
        "/v1/content/{address}": {"get": _signed_content()},
        "/healthz": {"get": _plain("healthz", "Tells that the process lives.")},
        "/readyz": {"get": _plain("readyz", "Tells whether database, storage and gateway answer.")},
        "/openapi.json": {"get": _file("openapi", "Gets this description.", "application/json", {"type": "object"})},
        "/docs": {"get": _file("docs", "Shows this description as a page.", "text/html", {"type": "string"})},
    }


MODEL: Final[Json] = {
    "name": "model",
    "in": "path",
    "required": True,
    "description": "The id of a model.",
    "schema": {"type": "string", "minLength": 1},
}


def schemas() -> dict[str, Json]:
    """Return the schemas that they refer to."""
    image: Json = {
        "type": "object",
        "required": ["id"],
        "properties": {
            "id": {"type": "string", "description": "The image's id, as everywhere in this service."},
            "b64_json": {"type": "string", "contentEncoding": "base64"},
            "url": {"type": "string", "format": "uri", "description": "Opens without a token for an hour."},
        },
    }
    model: Json = {
        "type": "object",
        "required": ["id", "object", "created", "owned_by"],
        "properties": {
            "id": {"type": "string"},
            "object": {"const": "model"},
            "created": {"type": "integer"},
            "owned_by": {"type": "string"},
        },
    }
    return {
        "OpenAiImages": {
            "type": "object",
            "required": ["created", "data", "generation_id"],
            "properties": {
                "created": {"type": "integer"},
                "data": {"type": "array", "items": image},
                "generation_id": {"type": "string"},
                "output_format": {"enum": [*OutputFormat]},
                "size": {"type": "string"},
                "quality": {"type": "string"},
                "background": {"type": "string"},
                "safety_identifier": {"type": "string"},
                "description": {"type": "string"},
                "detail": {"$ref": "#/components/schemas/TaskDetail"},
            },
        },
        "OpenAiModel": model,
        "OpenAiModels": {
            "type": "object",
            "required": ["object", "data"],
            "properties": {
                "object": {"const": "list"},
                "data": {"type": "array", "items": {"$ref": "#/components/schemas/OpenAiModel"}},
            },
        },
        "OpenAiError": {
            "type": "object",
            "required": ["error"],
            "properties": {
                "error": {
                    "type": "object",
                    "required": ["message", "type", "param", "code", "reason", "metadata"],
                    "properties": {
                        "message": {"type": "string"},
                        "type": {"type": "string"},
                        "param": {"type": ["string", "null"]},
                        "code": {"type": "string"},
                        "reason": {"type": "string", "description": "A value of `ErrorReason`."},
                        "metadata": {"type": "object", "additionalProperties": {"type": "string"}},
                    },
                }
            },
        },
    }


def responses() -> dict[str, Json]:
    """Return the answers that they refer to."""
    either = {"anyOf": [{"$ref": f"#/components/schemas/{name}"} for name in ("OpenAiError", "Error")]}
    should_retry: Json = {
        "description": "What OpenAI's SDKs obey: `false` wherever something may have been bought.",
        "schema": {"enum": ["true", "false"]},
    }
    headers = REQUEST_ID | {"x-should-retry": should_retry, "retry-after": {"$ref": "#/components/headers/RetryAfter"}}
    return {
        f"OpenAiError{status}": {
            "description": DESCRIPTIONS[status],
            "headers": headers,
            "content": {"application/json": {"schema": either}},
        }
        for status in OPENAI_FAILURES
    }


def _openai_failures() -> Json:
    told = {str(status): {"$ref": f"#/components/responses/OpenAiError{status}"} for status in OPENAI_FAILURES}
    return told | failures(GATEWAY_FAILURES)


def _images(operation: str, summary: str, body: Json) -> Json:
    event = {"type": "object", "required": ["data"], "properties": {"data": {"type": "string"}}}
    content = {
        "application/json": {"schema": {"$ref": "#/components/schemas/OpenAiImages"}},
        "text/event-stream": {"schema": event},
    }
    refused = ", ".join(f"`{name}`" for name in NOT_HERE)
    return {
        "operationId": operation,
        "tags": [OPENAI],
        "summary": summary,
        "description": f"{summary} Send an `Idempotency-Key`. Refused by name: {refused}.",
        "parameters": [WORKSPACE, KEY],
        "requestBody": {"required": True, "content": body},
        "responses": {"200": {"description": "Done.", "headers": REQUEST_ID, "content": content}, **_openai_failures()},
    }


def _fields() -> Json:
    return {
        "prompt": {"type": "string", "minLength": 1, "maxLength": limits.MAX_PROMPT_CHARS},
        "model": {"type": "string", "description": "Default: the one that the operator configured."},
        "n": {"type": "integer", "minimum": 1, "maximum": limits.MAX_IMAGES_PER_TASK, "default": 1},
        "size": {"type": "string", "description": "Its shape counts; how many pixels there are is the model's."},
        "aspect_ratio": {"enum": ["auto", *ASPECT_RATIOS]},
        "quality": {"type": "string", "description": "Where the model knows it."},
        "background": {"enum": ["auto", "opaque", "transparent"], "description": "Where the model knows it."},
        "output_format": {"enum": [*OutputFormat]},
        "output_compression": {"type": "integer", "minimum": 0, "maximum": limits.MAX_COMPRESSION},
        "response_format": {"enum": [B64_JSON, URL], "default": B64_JSON},
        "stream": {"type": "boolean", "default": False},
        "partial_images": {"type": "integer", "minimum": 0, "maximum": MAX_PARTIAL_IMAGES},
        "seed": {"type": "integer", "minimum": 0, "maximum": limits.MAX_SEED},
        "moderation": {"const": "auto"},
        "safety_identifier": {"type": "string", "maxLength": MAX_USER_CHARS},
        "user": {"type": "string", "maxLength": MAX_USER_CHARS},
    }


def _generation_body() -> Json:
    schema = {
        "type": "object",
        "required": ["prompt"],
        "properties": _fields(),
        "additionalProperties": False,
    }
    return {"application/json": {"schema": schema, "example": {"prompt": "a red fox", "size": "1536x1024"}}}


def _edit_body() -> Json:
    picture = {
        "oneOf": [
            {
                "type": "object",
                "required": [name],
                "properties": {name: {"type": "string"}},
                "additionalProperties": False,
            }
            for name in ("file_id", "image_url")
        ],
        "description": "The id of an image, or a data URL.",
    }
    images = {"type": "array", "items": picture, "minItems": 1, "maxItems": limits.MAX_INPUT_IMAGES}
    told = f"At most {MAX_EDIT_JSON_BYTES // limits.MIB} MiB."
    schema = {
        "type": "object",
        "required": ["prompt", "images"],
        "properties": _fields() | {"images": images, "mask": picture},
        "additionalProperties": False,
        "description": told,
    }
    form = {
        "type": "object",
        "required": ["prompt", "image"],
        "properties": _fields() | {"image": {"type": "array", "items": {}}, "mask": {}},
        "description": f"At most {MAX_FORM_BYTES // limits.MIB} MiB; several pictures by `image` or `image[]`.",
    }
    return {"application/json": {"schema": schema}, "multipart/form-data": {"schema": form}}


def _models(operation: str, summary: str, schema: str, parameters: tuple[Json, ...] | list[Json] = ()) -> Json:
    content = {"application/json": {"schema": {"$ref": f"#/components/schemas/{schema}"}}}
    return {
        "operationId": operation,
        "tags": [OPENAI],
        "summary": summary,
        "parameters": [WORKSPACE, *parameters],
        "responses": {"200": {"description": "Done.", "headers": REQUEST_ID, "content": content}, **_openai_failures()},
    }


def _check() -> Json:
    result: Json = {
        "type": "object",
        "required": ["type", "outcome", "validation_state"],
        "properties": {
            "type": {"const": "c2pa"},
            "outcome": {"enum": ["detected", "not_detected"]},
            "validation_state": {"enum": ["trusted", "valid", "invalid", "not_present"]},
            "issuer": {"type": ["string", "null"]},
            "generated_at": {"type": ["string", "null"]},
            "model": {"type": "null"},
        },
    }
    answer: Json = {
        "type": "object",
        "required": ["object", "created_at", "results"],
        "properties": {
            "object": {"const": "content_provenance_check"},
            "created_at": {"type": "integer"},
            "results": {"type": "array", "items": result},
        },
    }
    form: Json = {"type": "object", "required": ["file"], "properties": {"file": {}}}
    content = {"application/json": {"schema": answer}}
    return {
        "operationId": "createContentProvenanceCheck",
        "tags": [OPENAI],
        "summary": "Tells the marks of a picture. Nothing is kept.",
        "parameters": [WORKSPACE],
        "requestBody": {"required": True, "content": {"multipart/form-data": {"schema": form}}},
        "responses": {"200": {"description": "Done.", "headers": REQUEST_ID, "content": content}, **_openai_failures()},
    }


def _agents() -> Json:
    answer = {"description": "An answer of JSON-RPC, or events that end with it.", "headers": REQUEST_ID}
    kinds = {"application/json": {"schema": {"type": "object"}}, "text/event-stream": {"schema": {"type": "object"}}}
    wrong = {
        "description": "No request of this protocol.",
        "content": {"application/json": {"schema": {"type": "object"}}},
    }
    return {
        "operationId": "mcp",
        "tags": [AGENTS],
        "summary": "Answers one request of an agent: streamable HTTP, without sessions.",
        "parameters": [WORKSPACE],
        "requestBody": {"required": True, "content": {"application/json": {"schema": {"type": "object"}}}},
        "responses": {
            "200": answer | {"content": kinds},
            "202": {"description": "A notification was taken.", "headers": REQUEST_ID},
            **failures((401, 403, 408, 413, 415, 431, 500, 503, 504)),
            **{str(status): wrong for status in (400, 404, 406)},
        },
    }


def _plain(operation: str, summary: str) -> Json:
    text = {"text/plain": {"schema": {"type": "string"}, "example": "ok\n"}}
    not_ready = {"description": "It does not.", "headers": REQUEST_ID, "content": text}
    return _opened(operation, summary, text) | {
        "responses": {
            "200": {"description": "It does.", "headers": REQUEST_ID, "content": text},
            **failures(OPEN_FAILURES),
            "503": not_ready
            | {"content": text | {"application/json": {"schema": {"$ref": "#/components/schemas/Error"}}}},
        }
    }


def _signed_content() -> Json:
    pictures: Json = {each.content_type: {"schema": {"type": "string"}} for each in DerivativeFormat}
    opened = _opened("getSignedContent", "Gets an image by an address of `SignContentUrl`, without a token.", pictures)
    opened["parameters"] = [
        {
            "name": "address",
            "in": "path",
            "required": True,
            "description": "What the address holds, and its signature.",
            "schema": {"type": "string", "minLength": 1},
        },
        *({"$ref": f"#/components/parameters/{name}"} for name in ("Range", "IfNoneMatch")),
    ]
    done = opened["responses"]["200"]
    opened["responses"] |= {
        "206": done | {"description": "A part of the picture."},
        "304": {"description": "The caller has it already.", "headers": REQUEST_ID},
        **failures((401, 416, 429)),
    }
    return opened


def _file(operation: str, summary: str, content_type: str, schema: Json) -> Json:
    return _opened(operation, summary, {content_type: {"schema": schema}})


def _opened(operation: str, summary: str, content: Json) -> Json:
    return {
        "operationId": operation,
        "tags": [SERVICE],
        "summary": summary,
        "security": [],
        "responses": {
            "200": {"description": "Done.", "headers": REQUEST_ID, "content": content},
            **failures(OPEN_FAILURES),
        },
    }
