"""Errors over HTTP: the one table of ``rpc/status.py``, with HTTP's own numbers."""

import json
import math
from collections.abc import Callable, Mapping
from typing import Final, TypeAlias

import grpc
from aiohttp import web
from google.protobuf.json_format import MessageToDict

from limner.domain.errors import FieldViolation, InvalidFieldError, LimnerError
from limner.rpc.status import CODES, status_of

ErrorPage: TypeAlias = Callable[[LimnerError, int], web.Response]
"""Writes an error with an HTTP status. ``x-request-id`` and ``retry-after`` are added to what it returns."""

HTTP_STATUSES: Final[Mapping[grpc.StatusCode, int]] = {
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
    grpc.StatusCode.DEADLINE_EXCEEDED: 504,
}
"""As Envoy translates them."""


class HttpRefusalError(Exception):
    """A request that HTTP has a status of its own for, such as 413; otherwise an error as all others."""

    def __init__(self, status: int, field: str, problem: str, *, headers: Mapping[str, str] | None = None) -> None:
        """``headers`` go along with the error's page."""
        super().__init__(problem)
        self.status = status
        self.headers = headers or {}
        self.error = InvalidFieldError([FieldViolation(field, problem)])


def http_status(error: LimnerError) -> int:
    """Return the HTTP status of an error."""
    return HTTP_STATUSES[CODES[type(error)]]


def json_error(error: LimnerError, status: int) -> web.Response:
    """Write an error as the gateway does: ``{"code", "message", "details"}``."""
    body = MessageToDict(status_of(error), always_print_fields_with_no_presence=True)
    return web.Response(status=status, body=json.dumps(body).encode(), content_type="application/json")


def retry_after(error: LimnerError) -> str | None:
    """Return the value of the ``retry-after`` header, in whole seconds; ``None`` when nobody knows."""
    return None if error.retry_after_s is None else str(math.ceil(error.retry_after_s))
