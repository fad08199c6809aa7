"""Turns what a handler raises into a status; the only place that does."""

import asyncio
import logging
import math
from dataclasses import dataclass
from typing import Any

import grpc
from grpc import aio

from limner.domain.errors import InternalError, LimnerError
from limner.rpc.call import REQUEST_ID_KEY, Context, current_call
from limner.rpc.interceptors.layer import Answer
from limner.rpc.status import CODES, DETAILS_KEY, status_of
from limner.service.instruments import REJECTIONS

log = logging.getLogger(__name__)


class ErrorLayer:
    """Answers our own errors by the table in ``status.py``, and any other as INTERNAL with the request's id."""

    def around(self, answer: Answer, method: str) -> Answer:
        """End a call with the status of what was raised."""

        async def answered(request: Any, context: Context) -> Any:
            try:
                return await answer(request, context)
            except (aio.BaseError, asyncio.CancelledError):  # gRPC's own: it was aborted, or nobody is there any more
                raise
            except LimnerError as error:
                refusal = _refusal(error)
            except Exception:
                log.exception("a call failed", extra={"method": method})
                refusal = _refusal(InternalError())
            # Not before the error is gone: gRPC keeps what ``abort`` raises until a collection comes by, and with it
            # would keep, by way of its context, each frame that the error passed, the request's 20 MiB in one of them.
            await refusal.tell(context)
            return None

        return answered


@dataclass(frozen=True, slots=True)
class _Refusal:
    """What a caller is told in place of an answer. It holds nothing of where the error came from."""

    code: grpc.StatusCode
    message: str
    trailers: tuple[tuple[str, str | bytes], ...]

    async def tell(self, context: Context) -> None:
        """End the call. gRPC ends the handler by itself as soon as that returns."""
        try:
            await context.abort(self.code, self.message, self.trailers)
        except aio.AbortError as error:
            # It is kept by the call, which this frame refers to; gRPC raises it again, where no frame of ours is.
            error.__traceback__ = None
        except aio.InternalError:
            log.debug("nobody was there to be told of an error")


def _refusal(error: LimnerError) -> _Refusal:
    REJECTIONS.add(1, error.reason)
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
    return _Refusal(CODES[type(error)], status.message, tuple(trailers))
