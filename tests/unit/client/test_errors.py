import grpc
import pytest

from limner.client import errors
from limner.client.errors import FieldViolation, LimnerClientError, client_error
from tests.standin import error_status


class FailedCall(grpc.RpcError):
    """A failed call as gRPC raises it."""

    def __init__(
        self, code: grpc.StatusCode, details: str = "", trailers: dict[str, str | bytes] | None = None
    ) -> None:
        self._code, self._details, self._trailers = code, details, trailers or {}

    def code(self) -> grpc.StatusCode:
        return self._code

    def details(self) -> str:
        return self._details

    def trailing_metadata(self) -> tuple[tuple[str, str | bytes], ...]:  # type: ignore[override]
        return tuple(self._trailers.items())


def failed(code: grpc.StatusCode, reason: str, **details: object) -> LimnerClientError:
    status = error_status(code.name, reason, **details)  # type: ignore[arg-type]
    return client_error(FailedCall(code, status.message, {"grpc-status-details-bin": status.SerializeToString()}))


@pytest.mark.parametrize(
    ("code", "reason", "kind"),
    [
        ("INVALID_ARGUMENT", "INVALID_FIELD", errors.InvalidRequestError),
        ("INVALID_ARGUMENT", "CONTENT_REJECTED", errors.ContentRejectedError),
        ("UNAUTHENTICATED", "CREDENTIALS_MISSING", errors.UnauthenticatedError),
        ("UNAUTHENTICATED", "CREDENTIALS_INVALID", errors.UnauthenticatedError),
        ("PERMISSION_DENIED", "PERMISSION_DENIED", errors.PermissionDeniedError),
        ("NOT_FOUND", "IMAGE_NOT_FOUND", errors.NotFoundError),
        ("NOT_FOUND", "GENERATION_NOT_FOUND", errors.NotFoundError),
        ("ALREADY_EXISTS", "IDEMPOTENCY_KEY_REUSED", errors.ConflictError),
        ("FAILED_PRECONDITION", "PROVIDER_MISCONFIGURED", errors.MisconfiguredError),
        ("RESOURCE_EXHAUSTED", "OVERLOADED", errors.OverloadedError),
        ("RESOURCE_EXHAUSTED", "QUOTA_EXCEEDED", errors.QuotaExceededError),
        ("RESOURCE_EXHAUSTED", "", errors.ExhaustedError),
        ("UNAVAILABLE", "PROVIDER_UNAVAILABLE", errors.UnavailableError),
        ("DEADLINE_EXCEEDED", "", errors.DeadlineExceededError),
        ("CANCELLED", "GENERATION_CANCELLED", errors.CancelledError),
        ("INTERNAL", "INTERNAL", LimnerClientError),
    ],
)
def test_each_status_has_its_error(code: str, reason: str, kind: type[LimnerClientError]) -> None:
    error = failed(grpc.StatusCode[code], reason)

    assert type(error) is kind
    assert (error.code.name, error.reason) == (code, reason)


def test_all_violations_are_told() -> None:
    error = failed(
        grpc.StatusCode.INVALID_ARGUMENT,
        "INVALID_FIELD",
        violations=[("prompt", "must not be empty"), ("numImages", "must be 1 to 10")],
    )

    assert error.violations == (
        FieldViolation("prompt", "must not be empty"),
        FieldViolation("numImages", "must be 1 to 10"),
    )


def test_the_time_of_a_retry_and_the_facts_of_a_reason_are_told() -> None:
    error = failed(grpc.StatusCode.RESOURCE_EXHAUSTED, "OVERLOADED", retry_after_s=1.5, metadata={"queue": "full"})

    assert error.retry_after_s == 1.5
    assert error.metadata == {"queue": "full"}


def test_an_error_of_something_on_the_way_needs_no_details() -> None:
    error = client_error(FailedCall(grpc.StatusCode.UNAVAILABLE, "connection refused"), "4711")

    assert (str(error), error.reason, error.violations, error.retry_after_s) == ("connection refused", "", (), None)
    assert error.request_id == "4711"


def test_details_that_are_none_do_not_hide_the_error() -> None:
    trailers: dict[str, str | bytes] = {"grpc-status-details-bin": b"\xff\xff", "x-request-id": "theirs"}
    error = client_error(FailedCall(grpc.StatusCode.NOT_FOUND, "nothing there", trailers), "ours")

    assert isinstance(error, errors.NotFoundError)
    assert (error.message, error.request_id) == ("nothing there", "theirs")
