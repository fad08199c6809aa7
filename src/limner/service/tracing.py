"""Spans: what belongs to one call, from its caller to the provider and back, wherever it was done.

Without a tracer, which a process names once at its start (``trace_with``), nothing is noted and nothing is slower. No
attribute holds a prompt, a token, a key or an address.
"""

from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from contextvars import ContextVar
from enum import Enum
from typing import Final, Protocol, TypeAlias

Attributes: TypeAlias = Mapping[str, str | int | float | bool]

GENERATION: Final = "limner.generation.id"
MODEL: Final = "limner.model"
OUTCOME: Final = "limner.outcome"

generation_id: ContextVar[str] = ContextVar("generation_id", default="")
"""The generation that this task works on, for its log lines and spans."""


class Kind(Enum):
    """Which side of a request a span is."""

    INTERNAL = "internal"
    SERVER = "server"
    CLIENT = "client"


class Span(Protocol):
    """Something that takes time."""

    def note(self, attributes: Attributes) -> None:
        """Add what is known by now."""

    def fail(self, why: str) -> None:
        """Note that it went wrong, in one word."""

    def end(self) -> None:
        """Note that it is over; a second time changes nothing."""


class Tracer(Protocol):
    """Notes spans for those who operate the service. Neither blocks nor raises."""

    def span(
        self, name: str, kind: Kind, attributes: Attributes, traceparent: str, tracestate: str
    ) -> AbstractContextManager[Span]:
        """Note a span while the context lasts; what begins within belongs to it.

        ``traceparent`` and ``tracestate`` (W3C Trace Context) name its parent; empty: the current span.
        """

    def begin(self, name: str, kind: Kind, attributes: Attributes) -> Span:
        """Return a span that began now; what this task begins from now on belongs to it."""

    def traceparent(self) -> str:
        """Return the current span for others (W3C Trace Context); empty without one."""


class _Nothing:
    def note(self, attributes: Attributes) -> None:
        pass

    def fail(self, why: str) -> None:
        pass

    def end(self) -> None:
        pass


_NOTHING: Final = _Nothing()
_tracers: list[Tracer] = []


def trace_with(*tracers: Tracer) -> None:
    """Let this process's spans be noted by a tracer, or by none."""
    _tracers[:] = tracers


def span(
    name: str,
    attributes: Attributes | None = None,
    *,
    kind: Kind = Kind.INTERNAL,
    traceparent: str = "",
    tracestate: str = "",
) -> AbstractContextManager[Span]:
    """As ``Tracer.span``. What is raised within fails the span, by the name of its class."""
    if not _tracers:
        return nullcontext(_NOTHING)
    return _failing(_tracers[0].span(name, kind, attributes or {}, traceparent, tracestate))


def nothing() -> Span:
    """Return a span that nobody notes."""
    return _NOTHING


def begin(name: str, attributes: Attributes | None = None, *, kind: Kind = Kind.INTERNAL) -> Span:
    """As ``Tracer.begin``."""
    return _tracers[0].begin(name, kind, attributes or {}) if _tracers else _NOTHING


def traceparent() -> str:
    """As ``Tracer.traceparent``."""
    return _tracers[0].traceparent() if _tracers else ""


@contextmanager
def _failing(noted: AbstractContextManager[Span]) -> Iterator[Span]:
    with noted as current:
        try:
            yield current
        except BaseException as error:
            current.fail(type(error).__name__)
            raise
