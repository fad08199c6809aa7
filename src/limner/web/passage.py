"""What every request passes on its way to its door's handler, and again on its way back.

From the outside in: request id and access log; errors, written as the door writes them; token and membership by the
table of policies; the length of the body. Until then none of the body is read.
"""

import asyncio
import logging
import time
from collections.abc import Callable, Mapping
from typing import Final

from aiohttp import web

from limner.domain import limits
from limner.domain.errors import InternalError, LimnerError
from limner.rpc.authorisation import accepted_caller, require_member
from limner.rpc.call import ORIGIN_KEY, REQUEST_ID_KEY, Call, begin, current_call
from limner.rpc.interceptors.access_log import acceptable_id, call_span, end_span, log_call
from limner.rpc.policies import POLICIES, Access
from limner.rpc.status import CODES
from limner.service.ports import TokenVerifier
from limner.web.door import Door, Handler, Route
from limner.web.errors import ErrorPage, HttpRefusalError, http_status, json_error, retry_after

log = logging.getLogger(__name__)

_BEGUN: Final = web.RequestKey("begun", bool)


class Passage:
    """Wraps the handlers of doors."""

    def __init__(self, verifier: TokenVerifier, leaving: Callable[[], bool]) -> None:
        """``leaving`` tells whether connections are to be closed after their answers."""
        self._verifier = verifier
        self._leaving = leaving

    def to(self, route: Route, door: Door) -> Handler:
        """Return the handler of a route with all that comes before and after it."""
        access = POLICIES.get(route.policy)
        name = f"{route.method} {route.path}"

        async def admitted(request: web.Request) -> web.StreamResponse:
            await self._admit(request, access)
            _require_sizes(request, route)
            return await route.answer(request)

        return self._around(admitted, name, door.error, series=route.policy, logged=route.logged)

    def to_nowhere(self) -> Handler:
        """Return the handler of requests that no route takes."""

        async def nowhere(request: web.Request) -> web.StreamResponse:
            raise HttpRefusalError(404, "path", "leads nowhere")

        return self._around(nowhere, "nowhere", json_error)

    def _around(self, answer: Handler, name: str, page: ErrorPage, *, series: str = "", logged: bool = True) -> Handler:
        async def passed(request: web.Request) -> web.StreamResponse:
            call = Call(acceptable_id(request.headers.get(REQUEST_ID_KEY)))
            call.origin = request.headers.get(ORIGIN_KEY, "")
            begin(call)
            started = time.perf_counter()
            ended = "CANCELLED"
            with call_span(series or name, request.headers.get("traceparent", ""), noted=logged) as span:
                try:
                    response, ended = await _answered(answer, request, name, page)
                    return response
                finally:
                    end_span(span, call, ended)
                    if logged:
                        log_call(call, name, ended, time.perf_counter() - started, series=series)

        return passed

    async def _admit(self, request: web.Request, access: Access | None) -> None:
        authorization = request.headers.getall("authorization", [])
        caller = await accepted_caller(access, authorization, self._verifier)
        current_call().caller = caller
        if access is Access.MEMBER:
            assert caller is not None
            require_member(caller, request.match_info["workspaceId"])

    async def begin_response(self, request: web.Request, response: web.StreamResponse) -> None:
        """Add what every answer carries, when its headers are about to leave."""
        request[_BEGUN] = True
        response.headers.setdefault(REQUEST_ID_KEY, current_call().request_id)
        if self._leaving():
            response.force_close()
            response.headers["connection"] = "close"


async def _answered(
    answer: Handler, request: web.Request, name: str, page: ErrorPage
) -> tuple[web.StreamResponse, str]:
    """Return the answer, or the page of the error that came instead, and how the call ended, for the log."""
    error: LimnerError
    headers: Mapping[str, str] = {}
    try:
        return await answer(request), "OK"
    except asyncio.CancelledError:
        raise
    except HttpRefusalError as refusal:
        error, status, headers = refusal.error, refusal.status, refusal.headers
    except web.HTTPRequestEntityTooLarge:
        error, status = too_large(limits.MIB).error, 413
    except LimnerError as known:
        error, status = known, http_status(known)
    except ConnectionError:  # nobody is there any more
        raise
    except Exception:
        log.exception("a call failed", extra={"method": name})
        error = InternalError(metadata={"requestId": current_call().request_id})
        status = http_status(error)
    if _BEGUN in request:
        # The status can't be changed any more: without its proper end the answer is seen to be broken.
        raise ConnectionResetError from error
    response = page(error, status)
    response.headers.update(headers)
    if (wait := retry_after(error)) is not None:
        response.headers.setdefault("retry-after", wait)
    return response, CODES[type(error)].name


def _require_sizes(request: web.Request, route: Route) -> None:
    if len(request.raw_path) > limits.MAX_PATH_BYTES:
        problem = f"must have at most {limits.MAX_PATH_BYTES} bytes, query included"
        raise HttpRefusalError(431, "path", problem)
    if sum(len(name) + len(value) for name, value in request.raw_headers) > limits.MAX_HEADERS_BYTES:
        raise HttpRefusalError(431, "headers", f"must have at most {limits.MAX_HEADERS_BYTES} bytes together")
    if (request.content_length or 0) > route.max_body_bytes:
        raise too_large(route.max_body_bytes)


def too_large(max_bytes: int) -> HttpRefusalError:
    """Return the refusal of a body of more than ``max_bytes``."""
    return HttpRefusalError(413, "body", f"must have at most {max_bytes:,} bytes")
