"""Turns what a handler raises into a status; the only place that does."""

import asyncio
import logging
import math
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import grpc
from grpc import aio

from limner.domain.errors import InternalError, LimnerError
from limner.rpc.call import REQUEST_ID_KEY, Context, current_call
from limner.rpc.interceptors.layer import Layer
from limner.rpc.status import CODES, DETAILS_KEY, status_of

log = logging.getLogger(__name__)


class ErrorLayer(Layer):
    """Answers our own errors by the table in ``status.py``, and any other as INTERNAL with the request's id."""

    @asynccontextmanager
    async def around(self, request: Any, context: Context, method: str) -> AsyncIterator[None]:
        """Abort the call with the status of what was raised."""
        try:
            yield
        except (aio.AbortError, asyncio.CancelledError):
            raise
        except LimnerError as error:
            await _abort(context, error)
        except Exception:
            log.exception("a call failed", extra={"method": method})
            await _abort(context, InternalError())


async def _abort(context: Context, error: LimnerError) -> None:
    code: grpc.StatusCode = CODES[type(error)]
    request_id = current_call().request_id
    if isinstance(error, InternalError):
        error.metadata = {**error.metadata, "requestId": request_id}
    status = status_of(error)
    trailers: list[tuple[str, str | bytes]] = [
        (DETAILS_KEY, status.SerializeToString()),
        (REQUEST_ID_KEY, request_id),
    ]
    if error.retry_after_s is not None:
        trailers.append(("retry-after", str(math.ceil(error.retry_after_s))))
    await context.abort(code, status.message, tuple(trailers))
