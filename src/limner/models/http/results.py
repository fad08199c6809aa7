"""Results of providers: which addresses may be asked for them, and the guarded fetch.

The addresses are hostile until shown otherwise.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from http import HTTPStatus
from typing import Final

from yarl import URL

from limner.domain import limits
from limner.domain.backoff import Backoff
from limner.outbound.addresses import absolute, base_address, clean, origin
from limner.outbound.answer import Response, picture_bytes
from limner.outbound.base64_text import SLICE_BYTES, Base64Decoder
from limner.outbound.budget import Share
from limner.outbound.client import HttpClient, Request, Timeouts
from limner.outbound.errors import AnswerTooLargeError, CallError, ForbiddenAddressError, UnreadableAnswerError
from limner.outbound.hosts import is_loopback, is_numeric

log = logging.getLogger(__name__)

_HTTPS_PORT: Final = 443
_SPELLINGS: Final = {"localhost": ("127.0.0.1", "::1"), "127.0.0.1": ("localhost",), "::1": ("localhost",)}
"""What else an origin on this machine may be called."""
_MAX_REDIRECTS: Final = 3
_ATTEMPTS: Final = 3
_BACKOFF: Final = Backoff(first_s=0.25, longest_s=1.0, factor=4)
"""Waits before asking again for a result that was not to be had: it is paid for, and asking buys nothing."""
_REDIRECTS: Final = frozenset({301, 302, 303, 307, 308})
_PASSING: Final = frozenset({404, 408, 425, 429, 500, 502, 503, 504})
"""Statuses that may pass; a fresh result is not yet found by every edge of a CDN."""
_TIMEOUTS: Final = Timeouts(connect_s=5.0, first_byte_s=20.0, total_s=120.0)


class ResultError(CallError):
    """A picture was bought, and can't be had from where the provider says that it is."""

    def __init__(self, message: str, *, host: str = "", setting: str = "") -> None:
        super().__init__(message)
        self.host = host
        """Where it is said to be, for the operator."""
        self.setting = setting
        """What the operator may write into the catalogue, so that the next one can be had."""


@dataclass(frozen=True, slots=True)
class Target:
    """An address that may be asked for a result."""

    url: URL
    public: bool
    """Whether it must lead to a public address; the operator's own origins need not."""


class ResultAddresses:
    """Which addresses results may have.

    - the origin of ``base_url``, which the operator wrote; one on this machine by its other names, too;
    - https on port 443, or on the pattern's own port, of a host among ``hosts`` (the vendor's and the operator's):
      ``cdn.example.com`` exactly, ``*.example.com`` any name below it, ``cdn.example.com:8443`` on that port. They
      must lead to public addresses. A numeric address never matches;
    - http or https of a loopback ``host:port`` that is among ``hosts``, on any port for a ``host`` alone.

    Raises ``ValueError`` for a pattern or base address that is none.
    """

    def __init__(self, *, base_url: str, hosts: Iterable[str] = ()) -> None:
        self._base = base_address(base_url)
        patterns = [_Pattern.parse(host) for host in hosts]
        self._loopback = {(each.host, each.explicit_port) for each in patterns if is_loopback(each.host)}
        if is_loopback(self._base.raw_host or ""):
            self._loopback.add((self._base.raw_host or "", self._base.port))
        self._patterns = tuple(each for each in patterns if not is_loopback(each.host))

    def target(self, address: str, beside: URL | None = None) -> Target:
        """Return what may be asked for this address, relative to ``beside``; raise ``ResultError`` for what may not."""
        try:
            url = absolute(str((beside or self._base).join(URL(clean(address), encoded=True))))
        except ValueError as error:
            raise ResultError("the result has no proper address") from error
        host, port = url.raw_host or "", url.port
        if origin(url) == origin(self._base) or self._is_listed_loopback(host, port):
            return Target(url, public=False)
        if is_loopback(host):
            raise _unlisted("the result's address is on this machine, and not on the list", host, port, None)
        if url.scheme != "https" or is_numeric(host):
            raise ResultError("the result's address is neither https nor the operator's own", host=host)
        if not any(pattern.matches(host, port) for pattern in self._patterns):
            raise _unlisted("the result's host or port is not on the list", host, port, _HTTPS_PORT)
        return Target(url, public=True)

    def _is_listed_loopback(self, host: str, port: int | None) -> bool:
        names = (host, *_SPELLINGS.get(host, ()))
        return any((name, each) in self._loopback for name in names for each in (port, None))


@dataclass(frozen=True, slots=True)
class _Pattern:
    host: str
    """Lower case; with a dot in front for any name below it."""
    port: int | None
    explicit_port: int | None
    """``None`` when the pattern names no port."""

    @classmethod
    def parse(cls, text: str) -> "_Pattern":
        url = absolute(f"https://{text.removeprefix('*.')}")
        if url.raw_path not in {"", "/"} or url.query_string or url.fragment:
            raise ValueError(f"{text!r} is no host name")
        host = url.raw_host or ""
        return cls(f".{host}" if text.startswith("*.") else host, url.port, url.explicit_port)

    def matches(self, host: str, port: int | None) -> bool:
        if port != self.port:
            return False
        return host.endswith(self.host) and len(host) > len(self.host) if self.host[0] == "." else host == self.host


def _unlisted(why: str, host: str, port: int | None, usual_port: int | None) -> ResultError:
    """Return the error for a host that the operator may allow."""
    place = host if port == usual_port else f"{host}:{port}"
    return ResultError(why, host=host, setting=f'result_hosts = ["{place}"]')


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
        for failures in range(1, _ATTEMPTS):
            try:
                return _content(await self._follow(target, max_bytes, share))
            except (ForbiddenAddressError, AnswerTooLargeError, _LostError) as error:
                raise ResultError(str(error), host=target.url.raw_host or "") from error
            except CallError as error:
                if isinstance(error, ResultError):
                    raise
            await self._sleep(_BACKOFF.delay_s(failures))
        try:
            return _content(await self._follow(target, max_bytes, share))
        except ResultError:
            raise
        except CallError as error:
            raise ResultError(str(error), host=target.url.raw_host or "") from error

    async def _follow(self, target: Target, max_bytes: int, share: Share | None) -> Response:
        """Get what is there, over up to three redirects, each checked like the first address."""
        for _ in range(_MAX_REDIRECTS + 1):
            answer = await self._client.send(
                Request(url=target.url, timeouts=self._timeouts, max_bytes=max_bytes, public=target.public, share=share)
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
