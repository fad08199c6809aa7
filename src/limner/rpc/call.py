"""The call that is being answered: its id, its caller, its response headers."""

from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any, Final, TypeAlias

from grpc import aio

from limner import telemetry
from limner.service.caller import Caller

Context: TypeAlias = aio.ServicerContext[Any, Any]

REQUEST_ID_KEY: Final = "x-request-id"
ORIGIN_KEY: Final = "x-limner-origin"
"""Metadata with scheme and host by which a caller of REST reached the gateway."""


@dataclass(slots=True)
class Call:
    """What interceptors and handlers share about one call."""

    request_id: str
    caller: Caller | None = None
    origin: str = ""
    """By which address the caller reached the gateway, such as ``http://host:8080``; empty without one."""
    headers: list[tuple[str, str]] = field(default_factory=list)
    """Initial metadata, sent with the first message of the answer."""


_current: ContextVar[Call] = ContextVar("call")


def begin(call: Call) -> None:
    """Make this the call that is being answered."""
    _current.set(call)
    telemetry.request_id.set(call.request_id)


def current_call() -> Call:
    """Return the call that is being answered."""
    return _current.get()


def current_caller() -> Caller:
    """Return who calls. Calls without a caller never get to a handler that asks."""
    caller = _current.get().caller
    assert caller is not None
    return caller


def header_values(context: Context, key: str) -> list[str]:
    """Return the values of a text header of the request, in order."""
    return [str(value) for name, value in context.invocation_metadata() or () if name == key]
