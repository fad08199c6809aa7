"""The description of every call: paths, parameters, bodies, answers."""

from typing import Any, Final

from google.api import http_pb2
from google.protobuf.descriptor_pb2 import FileDescriptorSet

from limner.domain import limits
from limner.domain.derivative import DerivativeFormat
from limner.domain.image import OutputFormat
from tools.openapi import doors, examples
from tools.openapi.contract import Call, Contract, Field, Message, path_of, path_variables
from tools.openapi.failures import ALWAYS, DETAIL_SCHEMA, ERROR_SCHEMA, OF_TASKS, failure_components, failures
from tools.openapi.schemas import IN_PATH, Schemas

Json = dict[str, Any]

HTTP_BODY: Final = ".google.api.HttpBody"
EMPTY: Final = ".google.protobuf.Empty"
TASKS: Final = ("GenerateImages", "EditImages", "UpscaleImage", "RunTask")
PARAMETERS_OF_TASKS: Final[tuple[Json, ...]] = (
    {"$ref": "#/components/parameters/IdempotencyKey"},
    {"$ref": "#/components/parameters/Prefer"},
)
INPUT_CONTENT: Final = "/v1/workspaces/{workspace_id}/generations/{generation_id}/inputs/{image_id}/content"

PICTURE: Final[Json] = {}
"""A body that is bytes has no schema in OpenAPI 3.1."""

DESCRIPTION: Final = """\
Makes pictures from a prompt, edits and upscales them, and keeps every picture as an owned resource of a workspace.

A generation is a purchase: send an `Idempotency-Key` with each task call, and repeat it as often as you like.
Every path exists under `/api/image-service/v1` too. Every answer carries `x-request-id`.
"""


def document(descriptors: FileDescriptorSet, version: str) -> Json:
    """Return the OpenAPI 3.1 document of the service, of a descriptor set with comments."""
    contract = Contract(descriptors)
    schemas = Schemas(contract)
    paths: dict[str, Json] = {}
    for call in contract.calls:
        for rule in call.bindings:
            verb, path = path_of(rule)
            paths.setdefault(json_path(path, schemas.message(call.proto.input_type)), {})[verb] = operation(
                call, rule, schemas
            )
    for path, item in doors.paths().items():
        paths.setdefault(path, {}).update(item)
    return {
        "openapi": "3.1.1",
        "info": {
            "title": "Limner",
            "version": version,
            "description": DESCRIPTION,
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "servers": [{"url": "/"}],
        "security": [{"accessToken": []}],
        "tags": [{"name": name, "description": text} for name, text in TAGS.items()],
        "paths": paths,
        "components": components(schemas),
    }


TAGS: Final = {
    "Tasks": "What makes pictures, and costs money.",
    "Generations": "Tasks that were asked for, kept.",
    "Images": "The pictures of a workspace.",
    "Models": "What the operator configured.",
    "Usage": "What was used this month.",
    **doors.TAGS,
}


def components(schemas: Schemas) -> Json:
    """Return what the calls refer to."""
    own = {"Error": ERROR_SCHEMA, "ErrorDetail": DETAIL_SCHEMA, **schemas.components, **doors.schemas()}
    return {
        "schemas": dict(sorted(own.items())),
        "responses": {**failure_components(), **doors.responses()},
        "parameters": {
            "IdempotencyKey": {
                "name": "Idempotency-Key",
                "in": "header",
                "description": "Makes the call safe to repeat, as `requestId` does: 1 to 128 visible characters.",
                "schema": {"type": "string", "minLength": 1, "maxLength": 128, "pattern": "^[\\x21-\\x7e]+$"},
                "example": "order-17",
            },
            "Prefer": {
                "name": "Prefer",
                "in": "header",
                "description": "`respond-async`: answer at once; `GetGeneration` or a webhook tells the end.",
                "schema": {"type": "string", "enum": ["respond-async"]},
            },
            "Range": {
                "name": "Range",
                "in": "header",
                "description": "A single range of bytes, answered by 206.",
                "schema": {"type": "string"},
                "example": "bytes=0-1023",
            },
            "IfNoneMatch": {
                "name": "If-None-Match",
                "in": "header",
                "description": "The `etag` of what the caller has: answered by 304.",
                "schema": {"type": "string"},
            },
        },
        "headers": {
            "RequestId": {
                "description": "The request's id: the caller's own `x-request-id`, or a new one.",
                "required": True,
                "schema": {"type": "string"},
            },
            "RetryAfter": {"description": "When to try again, in seconds.", "schema": {"type": "integer"}},
        },
        "securitySchemes": {
            "accessToken": {
                "type": "http",
                "scheme": "bearer",
                "bearerFormat": "JWT",
                "description": "`sub` is the user, `workspaces` an object of workspace → `member` or `admin`.",
            }
        },
    }


def operation(call: Call, rule: http_pb2.HttpRule, schemas: Schemas) -> Json:
    """Return one call at one path."""
    name = call.proto.name
    verb, path = path_of(rule)
    request = schemas.message(call.proto.input_type)
    described: Json = {
        "operationId": "getInputImageContent" if path == INPUT_CONTENT else name[0].lower() + name[1:],
        "tags": [tag(name, path)],
        "summary": call.comment.partition(". ")[0].rstrip("."),
        "description": call.comment,
        "parameters": parameters(name, verb, path, rule, request, schemas),
    }
    if rule.body == "*":
        described["requestBody"] = {
            "required": name != "CancelGeneration",
            "content": {
                "application/json": {"schema": schemas.request(call.proto.input_type), **examples.request(name)}
            },
        }
    elif rule.body:
        pictures = {each.content_type: PICTURE for each in OutputFormat}
        described["requestBody"] = {
            "required": True,
            "description": f"The picture itself, at most {limits.MAX_UPLOAD_BYTES // limits.MIB} MiB.",
            "content": pictures,
        }
    statuses = {*ALWAYS, *((403,) if IN_PATH in path else ()), *((413, 415) if rule.body else ())}
    statuses |= {*OF_TASKS} if name in TASKS else set()
    done = success(call, schemas)
    described["responses"] = {"200": done, **failures(statuses)}
    if call.proto.output_type == HTTP_BODY:
        described["parameters"] += [{"$ref": f"#/components/parameters/{name}"} for name in ("Range", "IfNoneMatch")]
        not_modified = {"description": "The caller has it already.", "headers": done["headers"]}
        part = done | {"description": "A part of the picture."}
        described["responses"] |= {"206": part, "304": not_modified, **failures([416])}
    return described


def parameters(
    name: str, verb: str, path: str, rule: http_pb2.HttpRule, request: Message, schemas: Schemas
) -> list[Json]:
    """Return the path's variables, the query, and the headers that count."""
    bound = set(path_variables(path))
    in_path = [each for each in request.fields if each.proto.name in bound]
    in_query = [each for each in request.fields if each.proto.name not in bound and not rule.body]
    told = [parameter(request, each, "path", schemas) for each in in_path]
    told += [parameter(request, each, "query", schemas) for each in in_query]
    return [*told, *(PARAMETERS_OF_TASKS if name in TASKS else ())]


def parameter(request: Message, field: Field, where: str, schemas: Schemas) -> Json:
    """Return a variable of the path or of the query."""
    schema = schemas.parameter(request, field)
    if where == "path":
        schema |= {"minLength": 1, "maxLength": limits.MAX_IDENTIFIER_CHARS}
    return {
        "name": field.proto.json_name,
        "in": where,
        "required": where == "path",
        "description": field.comment,
        "schema": schema,
    }


def success(call: Call, schemas: Schemas) -> Json:
    """Return the answer of a call that went well."""
    headers: Json = {"x-request-id": {"$ref": "#/components/headers/RequestId"}}
    name, answer = call.proto.name, call.proto.output_type
    if answer == HTTP_BODY:
        headers |= {
            "etag": {"description": "A digest of the bytes.", "schema": {"type": "string"}},
            "cache-control": {"description": "May be kept for ever, privately.", "schema": {"type": "string"}},
        }
        pictures = {each.content_type: PICTURE for each in DerivativeFormat}
        return {"description": "The picture.", "headers": headers, "content": pictures}
    if call.proto.server_streaming:
        events = schemas.response(answer)
        stream = {"schema": event_of(events)}
        return {"description": "Server-sent events.", "headers": headers, "content": {"text/event-stream": stream}}
    schema = {"type": "object"} if answer == EMPTY else schemas.response(answer)
    content = {"application/json": {"schema": schema, **examples.response(name)}}
    return {"description": "Done.", "headers": headers, "content": content}


def event_of(data: Json) -> Json:
    """Return the schema of each server-sent event whose data is JSON of a schema."""
    text = {"type": "string", "contentMediaType": "application/json", "contentSchema": data}
    return {"type": "object", "required": ["data"], "properties": {"data": text}}


def json_path(path: str, request: Message) -> str:
    """Return a path with its variables named as in JSON."""
    for field in request.fields:
        path = path.replace(f"{{{field.proto.name}}}", f"{{{field.proto.json_name}}}")
    return path


def tag(name: str, path: str) -> str:
    """Return the group that a call stands in."""
    if name in TASKS:
        return "Tasks"
    kind = path.removeprefix("/v1/workspaces/{workspace_id}/").removeprefix("/v1/").partition("/")[0].partition(":")[0]
    return kind.capitalize()
