"""Published key sets (JWKS, RFC 7517): in a file, or at an https address."""

import asyncio
import ssl
import time
from collections.abc import Callable, Mapping
from http import HTTPStatus
from pathlib import Path
from typing import Final

from limner.auth.keys import KeysUnavailableError
from limner.auth.rotation import RotatingKeys
from limner.domain.limits import KIB
from limner.outbound.addresses import secure_address
from limner.outbound.errors import AnswerTooLargeError, CallError, TotalTimeError

MAX_JWKS_BYTES: Final = 64 * KIB
_HEADERS: Final[Mapping[str, str]] = {"Accept": "application/json"}


class JwksFile(RotatingKeys):
    """Keys of a file. A change counts within ``refresh_s``; a new key counts at once.

    To withdraw all keys, write an empty set: a file that is gone or broken leaves known keys valid for
    ``max_stale_s``.
    """

    def __init__(
        self,
        path: Path,
        *,
        refresh_s: float = 1.0,
        max_stale_s: float = 3600.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Remember the path; nothing is read yet."""
        super().__init__(refresh_s=refresh_s, interval_s=0.0, max_stale_s=max_stale_s, clock=clock)
        self._path = path

    @property
    def source(self) -> str:
        """The path."""
        return str(self._path)

    async def read(self) -> bytes:
        """Return the file's bytes."""
        return await asyncio.to_thread(_read_file, self._path)


class JwksHttps(RotatingKeys):
    """Keys of an https address; plain http is for loopback addresses alone. Redirects are not followed.

    A withdrawn key stops to count within ``refresh_s`` and the time of one fetch; a new key that a token
    names counts at once, unless the last fetch is less than ``interval_s`` ago.
    """

    def __init__(
        self,
        url: str,
        *,
        ca_file: Path | None = None,
        refresh_s: float = 300.0,
        interval_s: float = 5.0,
        timeout_s: float = 5.0,
        max_stale_s: float = 3600.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Remember the address, or raise ``ValueError`` when it is not acceptable.

        ``ca_file`` holds the certificates to trust, instead of the system's (``OSError`` when it can't be
        read). ``timeout_s`` bounds a fetch as a whole, from the name look-up to the last byte.
        """
        super().__init__(refresh_s=refresh_s, interval_s=interval_s, max_stale_s=max_stale_s, clock=clock)
        self._url = secure_address(url)
        self._timeout_s = timeout_s
        self._tls = ssl.create_default_context(cafile=ca_file) if self._url.scheme == "https" else None

    @property
    def source(self) -> str:
        """The address without its query, which may hold a secret."""
        return str(self._url.with_query(None))

    async def read(self) -> bytes:
        """Return what the address answers with status 200; redirects are not followed, and no proxy is used."""
        # Imported when it is needed: an http client takes its time and memory.
        from limner.outbound.client import HttpClient, Request, Timeouts

        limits = Timeouts(connect_s=self._timeout_s, first_byte_s=self._timeout_s, total_s=self._timeout_s)
        request = Request(url=self._url, headers=_HEADERS, timeouts=limits, max_bytes=MAX_JWKS_BYTES)
        client = HttpClient(tls=self._tls)  # for this one: the next is minutes away
        try:
            answer = await client.send(request)
        except TotalTimeError as error:
            raise KeysUnavailableError(f"it does not answer within {self._timeout_s:g} s") from error
        except AnswerTooLargeError as error:
            raise KeysUnavailableError(f"it is larger than {MAX_JWKS_BYTES} bytes") from error
        except CallError as error:
            raise KeysUnavailableError(f"it does not answer properly: {error}") from error
        finally:
            await client.close()
        if answer.status != HTTPStatus.OK:
            raise KeysUnavailableError(f"it answers with status {answer.status}, not 200")
        return answer.body


def _read_file(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            data = file.read(MAX_JWKS_BYTES + 1)
    except OSError as error:
        raise KeysUnavailableError(error.strerror or "it can't be read") from error
    if len(data) > MAX_JWKS_BYTES:
        raise KeysUnavailableError(f"it is larger than {MAX_JWKS_BYTES} bytes")
    return data
