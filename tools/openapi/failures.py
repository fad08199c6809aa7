"""The errors that calls answer, by status, from the service's own table."""

from collections.abc import Iterable, Mapping
from typing import Any, Final

import grpc

from limner.domain import errors
from limner.rpc.status import CODES, DOMAIN

Json = dict[str, Any]

HTTP: Final[Mapping[grpc.StatusCode, int]] = {
    grpc.StatusCode.INVALID_ARGUMENT: 400,
    grpc.StatusCode.FAILED_PRECONDITION: 400,
    grpc.StatusCode.UNAUTHENTICATED: 401,
    grpc.StatusCode.PERMISSION_DENIED: 403,
    grpc.StatusCode.NOT_FOUND: 404,
    grpc.StatusCode.ALREADY_EXISTS: 409,
    grpc.StatusCode.RESOURCE_EXHAUSTED: 429,
    grpc.StatusCode.CANCELLED: 499,
    grpc.StatusCode.INTERNAL: 500,
    grpc.StatusCode.UNAVAILABLE: 503,
}
"""The HTTP status of each code that the service answers, as the gateway translates them."""

ALWAYS: Final = (400, 401, 404, 408, 429, 431, 500, 503, 504)
"""What every call may answer: the gateway's own refusals among them."""

OF_TASKS: Final = (409, 499)

DESCRIPTIONS: Final[Mapping[int, str]] = {
    400: "The request is wrong; all wrong fields are named.",
    401: "There is no access token, or it is not accepted.",
    403: "The caller may not do this. Said before anything is looked up.",
    404: "There is no such thing in this workspace.",
    408: "The request did not arrive in time.",
    409: "The idempotency key was used for another request.",
    413: "The body is too large.",
    415: "The body is of another type than the call takes, or compressed.",
    416: "There is no such range of bytes.",
    429: "The quota is used up, or too much is in flight; nothing was done.",
    431: "The headers are too large.",
    499: "The generation was cancelled.",
    500: "A bug. The request's id finds it in the service's log.",
    503: "A part that this needs is down.",
    504: "The call took too long.",
}
WITH_RETRY_AFTER: Final = (429, 503)


def reasons_by_status() -> dict[int, list[str]]:
    """Return the reasons that errors of each HTTP status may have."""
    reasons: dict[int, list[str]] = {}
    for error, code in CODES.items():
        reasons.setdefault(HTTP[code], []).append(error.reason)
    reasons[503].append("SERVICE_UNAVAILABLE")  # the gateway's own
    return reasons | {status: [errors.InvalidFieldError.reason] for status in (413, 415, 416, 431)}


def failures(statuses: Iterable[int]) -> Json:
    """Return references to the answers of these statuses."""
    return {str(status): {"$ref": f"#/components/responses/Error{status}"} for status in sorted(statuses)}


def failure_components() -> dict[str, Json]:
    """Return the answer of each status, for all calls to refer to."""
    reasons = reasons_by_status()
    return {f"Error{status}": _failure(status, reasons.get(status, [])) for status in DESCRIPTIONS}


def _failure(status: int, reasons: list[str]) -> Json:
    told = f" `ErrorInfo.reason`: {', '.join(f'`{each}`' for each in reasons)}." if reasons else ""
    headers = {"x-request-id": {"$ref": "#/components/headers/RequestId"}}
    if status in WITH_RETRY_AFTER:
        headers["retry-after"] = {"$ref": "#/components/headers/RetryAfter"}
    content: Json = {"schema": {"$ref": "#/components/schemas/Error"}}
    if reasons:
        content["examples"] = {reason: {"value": _example(reason)} for reason in reasons}
    return {
        "description": DESCRIPTIONS[status] + told,
        "headers": headers,
        "content": {"application/json": content},
    }


def _example(reason: str) -> Json:
    kinds = {kind.reason: kind for kind in CODES}
    kind = kinds.get(reason, errors.StorageUnavailableError)
    number = CODES[kind].value[0]
    message = kind.default_message or "numImages: must be 1 to 10, is 11"
    details: list[Json] = [
        {"@type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": reason, "domain": DOMAIN, "metadata": {}}
    ]
    if kind is errors.InvalidFieldError:
        wrong = [{"field": "numImages", "description": "must be 1 to 10, is 11"}]
        details.append({"@type": "type.googleapis.com/google.rpc.BadRequest", "fieldViolations": wrong})
    if reason == "SERVICE_UNAVAILABLE":
        message = "The service is not available now."
    return {"code": number, "message": message, "details": details}


ERROR_SCHEMA: Final[Json] = {
    "type": "object",
    "description": "What every error answers (google.rpc.Status). Branch on `ErrorInfo.reason`, never on the message.",
    "required": ["code", "message", "details"],
    "properties": {
        "code": {"type": "integer", "format": "int32", "description": "The gRPC status code."},
        "message": {"type": "string", "description": "The error in words."},
        "details": {"type": "array", "items": {"$ref": "#/components/schemas/ErrorDetail"}},
    },
}

DETAIL_SCHEMA: Final[Json] = {
    "type": "object",
    "description": "One of `google.rpc.ErrorInfo` (always there), `BadRequest` (wrong fields) and `RetryInfo`.",
    "required": ["@type"],
    "properties": {
        "@type": {"type": "string"},
        "reason": {"type": "string", "description": "In `ErrorInfo`: a value of `ErrorReason`."},
        "domain": {"type": "string", "description": "In `ErrorInfo`: `imageservice`."},
        "metadata": {"type": "object", "additionalProperties": {"type": "string"}},
        "fieldViolations": {
            "type": "array",
            "description": "In `BadRequest`: each wrong field.",
            "items": {
                "type": "object",
                "required": ["field", "description"],
                "properties": {"field": {"type": "string"}, "description": {"type": "string"}},
            },
        },
        "retryDelay": {"type": "string", "description": "In `RetryInfo`: when to try again, such as `1s`."},
    },
}
