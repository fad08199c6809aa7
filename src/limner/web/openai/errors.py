"""Errors in OpenAI's shape, and whether its SDKs may try again by themselves."""

import json
from collections.abc import Mapping
from typing import Any, Final

from aiohttp import web

from limner.domain import errors
from limner.domain.errors import FieldViolation, InvalidFieldError, LimnerError

SHOULD_RETRY: Final = "x-should-retry"
"""What OpenAI's SDKs obey: without it they send a 408, 409, 429 or 5xx twice more, and without a key."""

REQUEST, SERVER = "invalid_request_error", "server_error"

_KINDS: Final[Mapping[type[LimnerError], tuple[str, str]]] = {
    errors.InvalidFieldError: (REQUEST, "invalid_value"),
    errors.ContentRejectedError: ("image_generation_user_error", "moderation_blocked"),
    errors.CredentialsMissingError: (REQUEST, "invalid_api_key"),
    errors.CredentialsInvalidError: (REQUEST, "invalid_api_key"),
    errors.PermissionDeniedError: ("permission_error", "permission_denied"),
    errors.IdempotencyKeyReusedError: ("idempotency_error", "idempotency_key_reused"),
    errors.QuotaExceededError: ("insufficient_quota", "insufficient_quota"),
    errors.OverloadedError: ("requests", "rate_limit_exceeded"),
}
"""OpenAI's ``type`` and ``code``; of others: an error of the request or the server, by its status, and the reason."""

PARAMS: Final[Mapping[str, str]] = {
    "modelId": "model",
    "numImages": "n",
    "aspectRatio": "size",
    "outputFormat": "output_format",
    "outputCompression": "output_compression",
    "imageIds": "image",
    "imageId": "image",
    "picture": "image",
    "requestId": "Idempotency-Key",
}
"""OpenAI's names of our fields, where they differ."""


NOT_HERE: Final[Mapping[str, str]] = {
    "svg": "no model here draws SVG",
    "frame_count": "no model here draws moving pictures",
    "frame_duration_ms": "no model here draws moving pictures",
    "complexity": "no model here can be told it",
    "markup": "no model here takes markup",
    "input_fidelity": "no model here can be told it",
    "style": "no model here can be told it: say it in the prompt",
    "prompt_rewriter": "no prompt is rewritten here",
}
"""Fields that OpenAI's SDKs know. They are refused by name, never dropped."""

NO_PARAMETER: Final = "is not a parameter of this call"


def error_body(error: LimnerError, status: int) -> dict[str, Any]:
    """Return the JSON of an error."""
    kind, code = _KINDS.get(type(error), (SERVER if status >= 500 else REQUEST, error.reason.lower()))
    param, message = None, error.message
    if isinstance(error, InvalidFieldError) and error.violations:
        named = [FieldViolation(PARAMS.get(each.field, each.field), each.description) for each in error.violations]
        param, code = named[0].field, _code_of(named[0])
        message = "; ".join(f"{each.field}: {each.description}" for each in named)
    facts = {"message": message, "type": kind, "param": param, "code": code}
    return {"error": facts | {"reason": error.reason, "metadata": errors.printed(error.metadata, error.outcome)}}


def _code_of(violation: FieldViolation) -> str:
    if violation.description == NO_PARAMETER:
        return "unknown_parameter"
    return "unsupported_parameter" if violation.field.partition("[")[0] in NOT_HERE else "invalid_value"


def openai_error(error: LimnerError, status: int) -> web.Response:
    """Write an error, and say whether it may be tried again."""
    response = json_answer(error_body(error, status), status)
    if is_safe_to_repeat(error) is not None:
        response.headers[SHOULD_RETRY] = str(is_safe_to_repeat(error)).lower()
    return response


def json_answer(document: Any, status: int = 200) -> web.Response:
    """Return a document as ``application/json``, which has no charset."""
    return web.Response(body=json.dumps(document).encode(), status=status, content_type="application/json")


def is_safe_to_repeat(error: LimnerError) -> bool | None:
    """Tell whether the same request may be sent again without a key: never when something may have been bought.

    ``None`` where trying again can't help, nor harm.
    """
    if isinstance(error, errors.OverloadedError):
        return True
    if isinstance(error, errors.ProviderUnavailableError) and error.outcome is errors.Outcome.NOT_BOUGHT:
        return True
    if isinstance(
        error, errors.CredentialsMissingError | errors.CredentialsInvalidError | errors.PermissionDeniedError
    ):
        return None
    return False
