"""Turns what a handler raises into a status; the only place that does."""

import asyncio
import logging
import math
from typing import Any

import grpc
from grpc import aio

from limner.domain.errors import InternalError, LimnerError
from limner.rpc.call import REQUEST_ID_KEY, Context, current_call
from limner.rpc.interceptors.layer import Answer
from limner.rpc.status import CODES, DETAILS_KEY, status_of

log = logging.getLogger(__name__)


class ErrorLayer:
    """Answers our own errors by the table in ``status.py``, and any other as INTERNAL with the request's id."""

    def around(self, answer: Answer, method: str) -> Answer:
        """Abort a call with the status of what was raised."""

        async def answered(request: Any, context: Context) -> Any:
            try:
                return await answer(request, context)
            except (aio.BaseError, asyncio.CancelledError):  # gRPC's own: it was aborted, or nobody is there any more
                raise
            except LimnerError as error:
                await _abort(context, error)
            except Exception:
                log.exception("a call failed", extra={"method": method})
                await _abort(context, InternalError())

        return answered


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
