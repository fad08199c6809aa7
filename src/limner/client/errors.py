"""What a call may fail with, read from the details that the service sends with every error.

    LimnerClientError
    ├── InvalidRequestError        wrong fields, all of them in ``violations``
    │   └── ContentRejectedError   the provider refuses the prompt or a picture
    ├── UnauthenticatedError       no access token, or one that is not accepted
    ├── PermissionDeniedError      not a member of the workspace, or not the owner of the image
    ├── NotFoundError              no such image or generation in this workspace
    ├── ConflictError              contradicts what is there already
    ├── MisconfiguredError         the operator has to repair something
    ├── ExhaustedError             a message or a limit is exceeded
    │   ├── OverloadedError        too much in flight: nothing was done, try after ``retry_after_s``
    │   └── QuotaExceededError     the workspace's quota is used up
    ├── UnavailableError           the service, or something that it needs, is down
    ├── DeadlineExceededError      the call took longer than its timeout
    └── CancelledError             the call or its generation was cancelled

Any other failure, such as a bug of the service, is a plain ``LimnerClientError``. After ``UnavailableError`` and
``DeadlineExceededError`` a task may have been done all the same: ``advice`` says how to get at it.
"""

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Final

import grpc
from google.protobuf.message import DecodeError
from google.rpc import error_details_pb2, status_pb2


@dataclass(frozen=True, slots=True)
class FieldViolation:
    """One wrong field, by its JSON name, and what is wrong with it."""

    field: str
    description: str


@dataclass(eq=False)
class LimnerClientError(Exception):
    """A call failed."""

    message: str
    """What happened, in the service's words."""
    code: grpc.StatusCode = grpc.StatusCode.UNKNOWN
    reason: str = ""
    """The name of an ``ErrorReason``; empty when the service was not reached."""
    metadata: Mapping[str, str] = field(default_factory=dict)
    """Facts that go with the reason, such as ``generationId``."""
    violations: tuple[FieldViolation, ...] = ()
    retry_after_s: float | None = None
    """When to try again, in seconds; ``None`` when the service does not say."""
    request_id: str = ""
    """Finds the call in the service's log."""
    idempotency_key: str = ""
    """Of a task: repeating it under this key (``request_id=…``) never buys twice. Empty for other calls."""

    @property
    def generation_id(self) -> str:
        """The task's generation, by which ``get_generation`` finds its pictures; empty when the service named none."""
        return self.metadata.get("generationId", "")

    @property
    def advice(self) -> str:
        """How to get at what may have been made; empty where nothing can have been."""
        ways = []
        if self.generation_id:
            ways.append(f"get_generation({self.generation_id!r}) tells how it stands")
        if self.idempotency_key and isinstance(self, UnavailableError | DeadlineExceededError | CancelledError):
            ways.append(f"the same call with request_id={self.idempotency_key!r} never buys it twice")
        return "; ".join(ways)

    def __str__(self) -> str:
        """Return the message, and how to get at what may have been made."""
        return f"{self.message} ({self.advice})" if self.advice else self.message


class InvalidRequestError(LimnerClientError):
    """The request has wrong fields: see ``violations``."""


class ContentRejectedError(InvalidRequestError):
    """The provider refuses the prompt or a picture. Asking again does not help."""


class UnauthenticatedError(LimnerClientError):
    """The access token is missing or not accepted."""


class PermissionDeniedError(LimnerClientError):
    """The caller may not do this."""


class NotFoundError(LimnerClientError):
    """There is no such image or generation in this workspace."""


class ConflictError(LimnerClientError):
    """The request contradicts what is there already."""


class MisconfiguredError(LimnerClientError):
    """The service can't do this until its operator repairs something."""


class ExhaustedError(LimnerClientError):
    """A limit is reached."""


class OverloadedError(ExhaustedError):
    """Too much is in flight; nothing was done."""


class QuotaExceededError(ExhaustedError):
    """The workspace's quota is used up."""


class UnavailableError(LimnerClientError):
    """The service, or something that it needs, is down."""


class DeadlineExceededError(LimnerClientError):
    """The call took longer than its timeout."""


class CancelledError(LimnerClientError):
    """The call, or the generation that it waited for, was cancelled."""


_BY_REASON: Final[Mapping[str, type[LimnerClientError]]] = {
    "CONTENT_REJECTED": ContentRejectedError,
    "OVERLOADED": OverloadedError,
    "QUOTA_EXCEEDED": QuotaExceededError,
}

_BY_CODE: Final[Mapping[grpc.StatusCode, type[LimnerClientError]]] = {
    grpc.StatusCode.INVALID_ARGUMENT: InvalidRequestError,
    grpc.StatusCode.UNAUTHENTICATED: UnauthenticatedError,
    grpc.StatusCode.PERMISSION_DENIED: PermissionDeniedError,
    grpc.StatusCode.NOT_FOUND: NotFoundError,
    grpc.StatusCode.ALREADY_EXISTS: ConflictError,
    grpc.StatusCode.FAILED_PRECONDITION: MisconfiguredError,
    grpc.StatusCode.RESOURCE_EXHAUSTED: ExhaustedError,
    grpc.StatusCode.UNAVAILABLE: UnavailableError,
    grpc.StatusCode.DEADLINE_EXCEEDED: DeadlineExceededError,
    grpc.StatusCode.CANCELLED: CancelledError,
}


@contextmanager
def translated(request_id: str) -> Iterator[None]:
    """Turn gRPC's errors into ours. ``request_id`` is the one that was sent, for answers without one."""
    try:
        yield
    except grpc.RpcError as error:
        raise client_error(error, request_id) from error


@contextmanager
def naming(idempotency_key: str) -> Iterator[None]:
    """Let errors of a task say under which key it was asked for."""
    try:
        yield
    except LimnerClientError as error:
        error.idempotency_key = idempotency_key
        raise


def client_error(error: grpc.RpcError, request_id: str = "") -> LimnerClientError:
    """Return the error that a failed call stands for."""
    pairs: Any = error.trailing_metadata() or ()  # pairs in both clients, of types of their own
    trailers = dict(pairs)
    status = _status(trailers.get("grpc-status-details-bin", b""))
    info = _detail(status, error_details_pb2.ErrorInfo)
    retry = _detail(status, error_details_pb2.RetryInfo)
    kind = _BY_REASON.get(info.reason) or _BY_CODE.get(error.code(), LimnerClientError)
    return kind(
        message=status.message or error.details() or error.code().name,
        code=error.code(),
        reason=info.reason,
        metadata=dict(info.metadata),
        violations=tuple(_violations(_detail(status, error_details_pb2.BadRequest))),
        retry_after_s=retry.retry_delay.ToTimedelta().total_seconds() if retry.HasField("retry_delay") else None,
        request_id=trailers.get("x-request-id", request_id),
    )


def _status(trailer: str | bytes) -> status_pb2.Status:
    try:
        return status_pb2.Status.FromString(trailer)
    except DecodeError:
        return status_pb2.Status()


def _detail(status: status_pb2.Status, kind: Any) -> Any:  # google.rpc carries no types
    message = kind()
    any(each.Unpack(message) for each in status.details)
    return message


def _violations(request: error_details_pb2.BadRequest) -> Iterable[FieldViolation]:
    return (FieldViolation(each.field, each.description) for each in request.field_violations)
