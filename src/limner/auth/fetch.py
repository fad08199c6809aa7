"""One small document over http, with one deadline for all of it.

The bytes come by asyncio, so that the deadline holds against a server that drips them and a fetch can be
given up at once; ``http.client`` reads the answer out of them.
"""

import asyncio
import ipaddress
import ssl
from dataclasses import dataclass
from http.client import HTTPException, HTTPResponse
from io import BytesIO
from socket import socket
from typing import Final, Self, cast
from urllib.parse import urlsplit

from limner.auth.keys import KeysUnavailableError
from limner.domain.limits import KIB

_MAX_HEADER_BYTES: Final = 32 * KIB
_READ_BYTES: Final = 16 * KIB


@dataclass(frozen=True, slots=True)
class HttpAddress:
    """An address that keys may be fetched from."""

    tls: bool
    host: str
    port: int
    target: str

    @classmethod
    def parse(cls, url: str) -> Self:
        """Take an https address, or an http one of this machine; raise ``ValueError`` for others."""
        parts = urlsplit(url)
        tls = parts.scheme == "https"
        if not parts.hostname or parts.username is not None or not url.isascii() or not url.isprintable() or " " in url:
            raise ValueError(f"{url!r} is not an https address")
        if not tls and not (parts.scheme == "http" and _is_loopback(parts.hostname)):
            raise ValueError(f"{url!r} is not an https address; plain http is for loopback addresses alone")
        target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        return cls(tls, parts.hostname, parts.port or (443 if tls else 80), target)

    @property
    def authority(self) -> str:
        """Host and port, as in a ``Host`` header."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == (443 if self.tls else 80) else f"{host}:{self.port}"

    def __str__(self) -> str:
        """Return the address without its query, which may hold a secret."""
        return f"{'https' if self.tls else 'http'}://{self.authority}{self.target.partition('?')[0]}"


async def fetch(address: HttpAddress, *, tls: ssl.SSLContext | None, timeout_s: float, max_bytes: int) -> bytes:
    """Return the body of a 200 answer of at most ``max_bytes``, or raise ``KeysUnavailableError``.

    Follows no redirect and uses no proxy.
    """
    try:
        async with asyncio.timeout(timeout_s):
            answer = await _exchange(address, tls, max_bytes + _MAX_HEADER_BYTES)
        body = _body(answer, max_bytes)
    except TimeoutError as error:
        raise KeysUnavailableError(f"it does not answer within {timeout_s:g} s") from error
    except (OSError, HTTPException, ValueError) as error:
        raise KeysUnavailableError(f"it does not answer properly: {error}") from error
    if len(body) > max_bytes:
        raise KeysUnavailableError(f"it is larger than {max_bytes} bytes")
    return body


async def _exchange(address: HttpAddress, tls: ssl.SSLContext | None, max_bytes: int) -> bytes:
    reader, writer = await asyncio.open_connection(address.host, address.port, ssl=tls, happy_eyeballs_delay=0.25)
    try:
        writer.write(
            f"GET {address.target} HTTP/1.1\r\nHost: {address.authority}\r\nUser-Agent: limner\r\n"
            "Accept: application/json\r\nAccept-Encoding: identity\r\nConnection: close\r\n\r\n".encode()
        )
        answer = bytearray()
        while len(answer) <= max_bytes and (part := await reader.read(_READ_BYTES)):
            answer += part
        return bytes(answer)
    finally:
        writer.transport.abort()


def _body(answer: bytes, max_bytes: int) -> bytes:
    response = HTTPResponse(cast(socket, _Received(answer)))
    response.begin()
    if response.status != 200:
        raise KeysUnavailableError(f"it answers with status {response.status}, not 200")
    # Asked for one byte more than allowed, it doesn't mind that the rest was not received.
    return response.read(max_bytes + 1)


class _Received:
    """Bytes that ``http.client`` reads as if from a socket."""

    def __init__(self, data: bytes) -> None:
        self._data = data

    def makefile(self, _mode: str) -> BytesIO:
        return BytesIO(self._data)


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
