"""Errors on the wire."""

import grpc
import pytest
from google.rpc.error_details_pb2 import BadRequest, ErrorInfo, RetryInfo
from imageservice.v1.error_reason_pb2 import ErrorReason

from limner.domain import errors
from limner.domain.task import Failure
from limner.rpc import status

LEAVES = [error for error in errors.leaves() if not error.__subclasses__()]


@pytest.mark.parametrize("error", LEAVES)
def test_every_error_has_a_code_and_a_reason_of_the_contract(error: type[errors.LimnerError]) -> None:
    assert error in status.CODES
    assert error.reason in ErrorReason.keys()  # noqa: SIM118


def test_every_reason_of_the_contract_can_be_raised() -> None:
    unused = set(ErrorReason.keys()) - {error.reason for error in LEAVES}

    assert unused == {"ERROR_REASON_UNSPECIFIED", "SERVICE_UNAVAILABLE"}  # the gateway sends the latter


def test_violations_are_listed() -> None:
    wrong = [errors.FieldViolation("prompt", "is required"), errors.FieldViolation("seed", "is negative")]

    told = status.status_of(errors.InvalidFieldError(wrong))

    assert told.code == grpc.StatusCode.INVALID_ARGUMENT.value[0]
    info, request = ErrorInfo(), BadRequest()
    told.details[0].Unpack(info)
    told.details[1].Unpack(request)
    assert (info.reason, info.domain) == ("INVALID_FIELD", "imageservice")
    assert [(each.field, each.description) for each in request.field_violations] == [
        ("prompt", "is required"),
        ("seed", "is negative"),
    ]


def test_an_overload_tells_when_to_come_back() -> None:
    told = status.status_of(errors.OverloadedError(retry_after_s=1.5))

    retry = RetryInfo()
    told.details[-1].Unpack(retry)
    assert retry.retry_delay.ToTimedelta().total_seconds() == 1.5


def test_a_message_never_bursts_the_trailers() -> None:
    told = status.status_of(errors.ContentRejectedError("🦊" * 100_000))

    assert len(told.message) <= 1_000


def test_a_reason_that_nobody_knows_any_longer_is_internal() -> None:
    told = status.status_of_failure(Failure(reason="OF_A_NEWER_VERSION", message="Something."))

    assert told.code == grpc.StatusCode.INTERNAL.value[0]


def test_an_outcome_is_printed_among_the_metadata() -> None:
    error = errors.ProviderUnavailableError(metadata={"generationId": "g"}, outcome=errors.Outcome.UNKNOWN)
    kept = Failure(reason=error.reason, message=error.message, metadata=error.metadata, outcome=error.outcome)

    for told in (status.status_of(error), status.status_of_failure(kept)):
        info = ErrorInfo()
        told.details[0].Unpack(info)
        assert dict(info.metadata) == {"generationId": "g", "outcome": "unknown"}


@pytest.mark.parametrize("outcome", [None, *errors.Outcome])
def test_what_is_printed_of_an_outcome_can_be_parsed(outcome: errors.Outcome | None) -> None:
    assert errors.parsed(errors.printed({"generationId": "g"}, outcome)) == ({"generationId": "g"}, outcome)
