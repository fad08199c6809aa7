"""Keys that change while the service runs."""

import asyncio
import logging
import math
import time
from abc import ABC, abstractmethod
from collections.abc import Callable

from limner.auth.keys import KeySet, KeysUnavailableError, VerificationKey

_logger = logging.getLogger(__name__)


class RotatingKeys(ABC):
    """Keys of a JWK set that is read again from time to time, and when a token names an unknown key.

    Reads never overlap and start at least ``interval_s`` apart, whatever callers ask for: who waits for one
    waits for the same one, and who asks too soon after one gets its answer. While reads fail, known keys
    count until ``max_stale_s`` after the last good one.
    """

    def __init__(
        self,
        *,
        refresh_s: float,
        interval_s: float,
        max_stale_s: float,
        patience_s: float = 0.25,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Read at first use.

        ``refresh_s`` is the age at which known keys are read again. The caller who finds them too old waits
        at most ``patience_s`` for that before it goes on with what is known; the reading goes on as well.
        """
        self._refresh_s = refresh_s
        self._interval_s = interval_s
        self._max_stale_s = max_stale_s
        self._patience_s = patience_s
        self._clock = clock
        self._document = b""
        self._keys = KeySet()
        self._read_at = -math.inf
        self._asked_at = -math.inf
        self._reading: asyncio.Task[None] | None = None
        self._failure: KeysUnavailableError | None = None

    @property
    @abstractmethod
    def source(self) -> str:
        """Where the keys come from, for the operator."""

    @abstractmethod
    async def read(self) -> bytes:
        """Return the JWK set as it is now, or raise ``KeysUnavailableError``."""

    async def check(self) -> None:
        """Read the keys now, for the start of the service; raise ``KeysUnavailableError`` when that fails."""
        await self._read_once()
        if self._failure is not None:
            raise self._failure

    async def find(self, kid: str | None, algorithm: str) -> VerificationKey | None:
        """As ``KeySource.find``."""
        if not self._known():
            await self._read_again()
        elif self._reading is None and self._age() >= self._refresh_s:
            await self._read_again(self._patience_s)
        if not self._known():
            raise KeysUnavailableError(f"no keys from {self.source}") from self._failure
        key = self._keys.find(kid, algorithm)
        if key is None:
            await self._read_again()
            key = self._keys.find(kid, algorithm)
        return key

    async def close(self) -> None:
        """Give up a reading that goes on."""
        if self._reading is not None:
            self._reading.cancel()
            await asyncio.wait({self._reading})

    def _age(self) -> float:
        return self._clock() - self._read_at

    def _known(self) -> bool:
        return self._age() < self._max_stale_s

    async def _read_again(self, patience_s: float | None = None) -> None:
        if self._reading is not None or self._clock() - self._asked_at >= self._interval_s:
            await self._read_once(patience_s)

    async def _read_once(self, patience_s: float | None = None) -> None:
        if self._reading is None:
            self._asked_at = self._clock()
            self._reading = asyncio.create_task(self._read_keys(), name="read JWK set")
        # Not a plain await: a caller who is cancelled must not cancel it for the others.
        await asyncio.wait({self._reading}, timeout=patience_s)

    async def _read_keys(self) -> None:
        try:
            document = await self.read()
            if document != self._document:
                self._keys = await asyncio.to_thread(KeySet.from_jwks, document)
                self._document = document
            self._read_at, self._failure = self._clock(), None
        except KeysUnavailableError as error:
            self._failure = KeysUnavailableError(f"{self.source} can't be used: {error}")
            _logger.warning("%s", self._failure)
        finally:
            self._reading = None
