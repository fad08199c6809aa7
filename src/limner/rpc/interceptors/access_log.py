"""Gives every call an id, and every answered call a line in the log."""

import logging
import re
import time
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import grpc
from grpc import aio

from limner.rpc.call import REQUEST_ID_KEY, Call, Context, begin, current_call
from limner.rpc.interceptors.layer import Layer

log = logging.getLogger(__name__)

_ACCEPTABLE_ID = re.compile(r"[\x21-\x7e]{1,128}")


class AccessLogLayer(Layer):
    """The outermost layer. Takes the caller's ``x-request-id`` when there is one, and answers it."""

    @asynccontextmanager
    async def around(self, request: Any, context: Context, method: str) -> AsyncIterator[None]:
        """Time the call and log how it ended: never its prompt, never its token."""
        call = Call(_request_id(context))
        call.headers.append((REQUEST_ID_KEY, call.request_id))
        begin(call)
        started = time.perf_counter()
        ended = "CANCELLED"
        try:
            yield
            ended = "OK"
        except aio.AbortError:
            ended = grpc.StatusCode(context.code()).name if context.code() else "ABORTED"
            raise
        finally:
            if log.isEnabledFor(logging.INFO):
                log.info(
                    "call",
                    extra={
                        "method": method,
                        "code": ended,
                        "ms": round((time.perf_counter() - started) * 1000, 3),
                        "user": call.caller.user_id if call.caller else None,
                    },
                )

    async def before_answer(self, context: Context) -> None:
        """Send the headers that were collected, the request's id among them."""
        await context.send_initial_metadata(current_call().headers)


def _request_id(context: Context) -> str:
    for key, value in context.invocation_metadata() or ():
        if key == REQUEST_ID_KEY and isinstance(value, str) and _ACCEPTABLE_ID.fullmatch(value):
            return value
    return str(uuid.uuid4())
