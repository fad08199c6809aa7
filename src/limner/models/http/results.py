"""The guarded fetch of addresses that a provider names. They are hostile until shown otherwise."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from http import HTTPStatus
from typing import Final

from limner.domain import limits
from limner.models.http.addresses import ResultAddresses, Target
from limner.models.http.answer import Response, picture_bytes
from limner.models.http.base64_text import SLICE_BYTES, Base64Decoder
from limner.models.http.budget import Share
from limner.models.http.client import HttpClient, Timeouts
from limner.models.http.errors import (
    AnswerTooLargeError,
    CallError,
    ForbiddenAddressError,
    ResultError,
    UnreadableAnswerError,
)

log = logging.getLogger(__name__)

_MAX_REDIRECTS: Final = 3
_DELAYS_S: Final = (0.25, 1.0)
"""Waits before asking again for a result that was not to be had: it is paid for, and asking buys nothing."""
_REDIRECTS: Final = frozenset({301, 302, 303, 307, 308})
_PASSING: Final = frozenset({404, 408, 425, 429, 500, 502, 503, 504})
"""Statuses that may pass; a fresh result is not yet found by every edge of a CDN."""
_TIMEOUTS: Final = Timeouts(connect_s=5.0, first_byte_s=20.0, total_s=120.0)


class ResultFetcher:
    """Gets results without credentials, and asks again, twice at most, where that may help."""

    def __init__(
        self,
        client: HttpClient,
        addresses: ResultAddresses,
        timeouts: Timeouts = _TIMEOUTS,
        sleep: Callable[[float], Awaitable[object]] = asyncio.sleep,
    ) -> None:
        self._client = client
        self._addresses = addresses
        self._timeouts = timeouts
        self._sleep = sleep

    async def fetch(
        self, value: object, max_bytes: int = limits.MAX_STORED_BYTES, *, share: Share | None = None
    ) -> bytes:
        """Return the bytes of a result: an address, one relative to the provider's own, or a data URI.

        ``value`` is what ``Response.json`` gave; ``bytes`` (decoded already) come back as they are. What is declared
        of the content is not looked at. Raises ``ResultError`` for what is refused, gone, empty, wrong or larger
        than ``max_bytes``; what is lost is paid for, so that the operator finds it in the log.
        """
        try:
            return await self._fetched(value, max_bytes, share)
        except ResultError as error:
            facts = {"why": str(error), "host": error.host, "setting": error.setting}
            log.error("a paid picture is lost", extra={name: fact for name, fact in facts.items() if fact})
            raise

    async def _fetched(self, value: object, max_bytes: int, share: Share | None) -> bytes:
        if isinstance(value, str) and value[:5].lower() != "data:":
            return await self._fetch(self._addresses.target(value), max_bytes, share)
        try:
            return await _decoded(value, max_bytes) if isinstance(value, str) else picture_bytes(value, max_bytes)
        except UnreadableAnswerError as error:
            raise ResultError("the result in the answer is wrong or too large") from error

    async def _fetch(self, target: Target, max_bytes: int, share: Share | None) -> bytes:
        for delay_s in _DELAYS_S:
            try:
                return _content(await self._follow(target, max_bytes, share))
            except (ForbiddenAddressError, AnswerTooLargeError, _LostError) as error:
                raise ResultError(str(error), host=target.url.raw_host or "") from error
            except CallError as error:
                if isinstance(error, ResultError):
                    raise
            await self._sleep(delay_s)
        try:
            return _content(await self._follow(target, max_bytes, share))
        except ResultError:
            raise
        except CallError as error:
            raise ResultError(str(error), host=target.url.raw_host or "") from error

    async def _follow(self, target: Target, max_bytes: int, share: Share | None) -> Response:
        """Get what is there, over up to three redirects, each checked like the first address."""
        for _ in range(_MAX_REDIRECTS + 1):
            answer = await self._client.request(
                "GET", target.url, timeouts=self._timeouts, max_bytes=max_bytes, public=target.public, share=share
            )
            if answer.status not in _REDIRECTS:
                return answer
            if not (location := answer.header("location")):
                break
            target = self._addresses.target(location, beside=target.url)
        raise ResultError("the result's address leads nowhere")


class _LostError(CallError):
    """The result is gone, for good."""


class _PassingError(CallError):
    """The result is not to be had now."""


def _content(answer: Response) -> bytes:
    if answer.status in _PASSING:
        raise _PassingError(f"the result's address answers with status {answer.status}")
    if answer.status != HTTPStatus.OK or not answer.body:
        raise _LostError(f"the result's address answers with status {answer.status}, {len(answer.body)} bytes")
    return answer.body


async def _decoded(uri: str, max_bytes: int) -> bytes:
    """Decode a data URI, a slice in each round of the event loop."""
    if len(uri) * 3 // 4 > max_bytes + limits.KIB:
        raise AnswerTooLargeError("a result is too large")
    decoder = Base64Decoder()
    for at in range(0, len(uri), SLICE_BYTES):
        decoder.feed(uri[at : at + SLICE_BYTES].encode("utf-8", "replace"))
        await asyncio.sleep(0)
    return picture_bytes(decoder.finish(), max_bytes)
