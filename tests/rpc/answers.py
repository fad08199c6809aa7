"""How a call ended."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

import grpc
from google.protobuf.message import Message
from google.rpc import status_pb2
from google.rpc.error_details_pb2 import BadRequest, ErrorInfo, RetryInfo

DETAILS_KEY = "grpc-status-details-bin"


@dataclass(frozen=True)
class Answer:
    """The messages of a call, and its status with the details."""

    code: grpc.StatusCode
    messages: list[Any] = field(default_factory=list)
    text: str = ""
    status: status_pb2.Status | None = None

    @property
    def reason(self) -> str:
        """The reason of an error; every error has one, and the domain of the service."""
        info = self.detail(ErrorInfo)
        assert info.domain == "imageservice"
        return str(info.reason)

    @property
    def violations(self) -> dict[str, str]:
        return {each.field: each.description for each in self.detail(BadRequest).field_violations}

    @property
    def retry_delay_s(self) -> float:
        return float(self.detail(RetryInfo).retry_delay.ToTimedelta().total_seconds())

    def detail(self, kind: type[Any]) -> Any:
        assert self.status is not None, f"no details in {self.code}: {self.text}"
        (packed,) = [each for each in self.status.details if each.Is(kind.DESCRIPTOR)]
        detail = kind()
        packed.Unpack(detail)
        return detail


def answer(
    method: Callable[..., Any], request: Message, metadata: Iterable[tuple[str, str]] = (), **options: Any
) -> Answer:
    """Make a call and wait for its end, whether it answers once or streams."""
    messages = []
    try:
        result = method(request, metadata=tuple(metadata), timeout=options.pop("timeout", 60), **options)
        if isinstance(result, Message):
            messages.append(result)
        else:
            messages.extend(result)
    except grpc.RpcError as error:
        return failure(error, messages)
    return Answer(grpc.StatusCode.OK, messages)


def failure(error: Any, messages: list[Any]) -> Answer:
    details = [value for key, value in error.trailing_metadata() or () if key == DETAILS_KEY]
    status = status_pb2.Status.FromString(details[0]) if details else None
    return Answer(error.code(), messages, error.details(), status)
