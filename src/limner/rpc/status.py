"""The one table from errors to gRPC statuses, and what an error looks like on the wire (AIP-193)."""

from collections.abc import Mapping
from typing import Final

import grpc
from google.protobuf.any_pb2 import Any
from google.rpc.error_details_pb2 import BadRequest, ErrorInfo, RetryInfo
from google.rpc.status_pb2 import Status

from limner.domain import errors
from limner.domain.task import Failure

DOMAIN: Final = "imageservice"
DETAILS_KEY: Final = "grpc-status-details-bin"

CODES: Final[Mapping[type[errors.LimnerError], grpc.StatusCode]] = {
    errors.InvalidFieldError: grpc.StatusCode.INVALID_ARGUMENT,
    errors.ContentRejectedError: grpc.StatusCode.INVALID_ARGUMENT,
    errors.CredentialsMissingError: grpc.StatusCode.UNAUTHENTICATED,
    errors.CredentialsInvalidError: grpc.StatusCode.UNAUTHENTICATED,
    errors.PermissionDeniedError: grpc.StatusCode.PERMISSION_DENIED,
    errors.ImageNotFoundError: grpc.StatusCode.NOT_FOUND,
    errors.GenerationNotFoundError: grpc.StatusCode.NOT_FOUND,
    errors.GenerationCancelledError: grpc.StatusCode.CANCELLED,
    errors.IdempotencyKeyReusedError: grpc.StatusCode.ALREADY_EXISTS,
    errors.QuotaExceededError: grpc.StatusCode.RESOURCE_EXHAUSTED,
    errors.OverloadedError: grpc.StatusCode.RESOURCE_EXHAUSTED,
    errors.ProviderUnavailableError: grpc.StatusCode.UNAVAILABLE,
    errors.StorageUnavailableError: grpc.StatusCode.UNAVAILABLE,
    errors.DatabaseUnavailableError: grpc.StatusCode.UNAVAILABLE,
    errors.ProviderMisconfiguredError: grpc.StatusCode.FAILED_PRECONDITION,
    errors.InterruptedTaskError: grpc.StatusCode.UNAVAILABLE,
    errors.InternalError: grpc.StatusCode.INTERNAL,
}

_CODES_BY_REASON: Final = {error.reason: code for error, code in CODES.items()}

_MAX_MESSAGE_CHARS: Final = 1_000
"""Messages travel in HTTP/2 trailers, which peers bound at 8 KiB altogether."""


def status_of(error: errors.LimnerError) -> Status:
    """Return the error with all its details."""
    status = _status(CODES[type(error)], error.reason, error.message, errors.printed(error.metadata, error.outcome))
    if isinstance(error, errors.InvalidFieldError):
        fields = (BadRequest.FieldViolation(field=v.field, description=v.description) for v in error.violations)
        status.details.append(_packed(BadRequest(field_violations=fields)))
    if error.retry_after_s is not None:
        retry = RetryInfo()
        retry.retry_delay.FromMilliseconds(int(error.retry_after_s * 1000))
        status.details.append(_packed(retry))
    return status


def status_of_failure(failure: Failure) -> Status:
    """Return an error that was kept as the failure of a generation."""
    code = _CODES_BY_REASON.get(failure.reason, grpc.StatusCode.INTERNAL)
    return _status(code, failure.reason, failure.message, errors.printed(failure.metadata, failure.outcome))


def _status(code: grpc.StatusCode, reason: str, message: str, metadata: Mapping[str, str]) -> Status:
    info = ErrorInfo(reason=reason, domain=DOMAIN, metadata=metadata)
    number: int = code.value[0]
    return Status(code=number, message=message[:_MAX_MESSAGE_CHARS], details=[_packed(info)])


def _packed(detail: BadRequest | ErrorInfo | RetryInfo) -> Any:
    packed = Any()
    packed.Pack(detail)
    return packed
