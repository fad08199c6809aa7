"""Gives every call an id, and every answered call a line in the log."""

import logging
import re
import time
import uuid
from contextlib import AbstractContextManager, nullcontext
from typing import Any, Final

import grpc

from limner.rpc.call import ORIGIN_KEY, REQUEST_ID_KEY, Call, Context, begin, header_values
from limner.rpc.interceptors.layer import Answer
from limner.service import tracing
from limner.service.instruments import RPC_DURATION

log = logging.getLogger(__name__)

_PROBES: Final = "/grpc.health.v1.Health/"
_FAILED: Final = {
    "CANCELLED",
    "DATA_LOSS",
    "DEADLINE_EXCEEDED",
    "INTERNAL",
    "UNAVAILABLE",
    "UNIMPLEMENTED",
    "UNKNOWN",
}
"""What OpenTelemetry's conventions count as errors of a server, and calls that nobody waited for."""
_ACCEPTABLE_ID = re.compile(r"[\x21-\x7e]{1,128}")


class AccessLogLayer:
    """The outermost layer. Takes the caller's ``x-request-id`` when there is one, and answers it."""

    def around(self, answer: Answer, method: str) -> Answer:
        """Time each call and log how it ended: never its prompt, never its token."""

        async def logged(request: Any, context: Context) -> Any:
            call = Call(acceptable_id(*header_values(context, REQUEST_ID_KEY)))
            call.headers.append((REQUEST_ID_KEY, call.request_id))
            call.origin = next(iter(header_values(context, ORIGIN_KEY)), "")
            begin(call)
            started = time.perf_counter()
            ended = "CANCELLED"
            with call_span(method, *header_values(context, "traceparent")[:1]) as span:
                try:
                    message = await answer(request, context)
                    code = context.code()  # an error was told already, which raised nothing
                    ended = code.name if code else "OK"
                    return message
                finally:
                    end_span(span, call, ended)
                    log_call(call, method, ended, time.perf_counter() - started)

        return logged


def log_call(call: Call, method: str, ended: str, took_s: float, *, series: str = "") -> None:
    """Log and count how a call ended. ``method`` is its name, with nothing in it that the caller said.

    ``series`` is the full name of the call that it counts as, where that is another.
    """
    RPC_DURATION.observe(took_s, (series or method).rpartition("/")[2], ended)
    # Probes ask again and again; one that is answered is no news.
    level = logging.DEBUG if method.startswith(_PROBES) and ended == "OK" else logging.INFO
    if log.isEnabledFor(level):
        user = call.caller.user_id if call.caller else None
        log.log(level, "call", extra={"method": method, "code": ended, "ms": round(took_s * 1000, 3), "user": user})


def call_span(method: str, traceparent: str = "", *, noted: bool = True) -> AbstractContextManager[tracing.Span]:
    """Note a call, as part of its caller's trace; probes are none.

    ``method`` is its full name, or the method and path of an HTTP route.
    """
    if not noted or method.startswith(_PROBES):
        return nullcontext(tracing.nothing())
    service, _, name = method.lstrip("/").rpartition("/")
    facts = {"rpc.system": "grpc", "rpc.service": service, "rpc.method": name}
    return tracing.span(method.lstrip("/"), facts, kind=tracing.Kind.SERVER, traceparent=traceparent)


def end_span(span: tracing.Span, call: Call, ended: str) -> None:
    """Note how a call ended, as its caller was told."""
    number = grpc.StatusCode[ended].value[0]
    span.note({"rpc.grpc.status_code": number, "limner.request.id": call.request_id})
    if ended in _FAILED:
        span.fail(ended)


def acceptable_id(*asked: str | None) -> str:
    """Return the first id that a request may have, of those that its caller gave it; or else a new one."""
    for value in asked:
        if value and _ACCEPTABLE_ID.fullmatch(value):
            return value
    return str(uuid.uuid4())
