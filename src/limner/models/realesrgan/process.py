"""The worker process, seen from the service: a bounded queue, one picture at a time, an end when idle."""

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Final

from limner.domain import limits
from limner.domain.errors import FieldViolation, InvalidFieldError, OverloadedError, ProviderUnavailableError
from limner.domain.image import OutputFormat
from limner.models.child import ChildProcess
from limner.models.realesrgan.wire import Reply, Request
from limner.service.ports import PictureInfo, ReadyPicture

_UNKNOWN_WAIT_S: Final = 10.0
_INHERITED: Final = ("OMP_WAIT_POLICY", "GOMP_SPINCOUNT")
"""How long threads spin: an operator may set it otherwise."""

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Upscale:
    """One picture to enlarge."""

    network: str
    factor: int
    output_format: OutputFormat
    read: Callable[[], Awaitable[bytes]]
    """Gives the picture's bytes; called when the worker is ready for them."""
    progress: Callable[[float], None]
    """Told how much is done, 0 to 1, after each tile."""


class Pace:
    """How fast a picture goes on, counted from the end of its first tile: before it lies the start."""

    def __init__(self, fraction: float) -> None:
        self.fraction = fraction
        self._first_fraction = fraction
        self._first_at = time.monotonic()

    def seconds_left(self) -> float:
        """Return how long the rest takes if it goes on like this."""
        if self.fraction <= self._first_fraction:
            return _UNKNOWN_WAIT_S
        elapsed = time.monotonic() - self._first_at
        return max(1.0, elapsed / (self.fraction - self._first_fraction) * (1 - self.fraction))


class UpscalerProcess:
    """Enlarges pictures in a worker process, which the models of a service share.

    The process starts with the first picture. It ends when idle, when closed, with the service, and when a
    picture fails or is cancelled: a fresh one is ready sooner than a slow tile ends.
    """

    def __init__(
        self, *, threads: int = 0, queue: int = 8, tile: int = 0, idle_s: float = 60.0, silence_s: float = 300.0
    ) -> None:
        """Set the bounds.

        threads: processor cores that a picture takes; 0 for all.
        queue: how many pictures wait behind the running one before more are refused.
        tile: longest edge of a tile in pixels; 0 for what keeps each network within 1.5 GiB.
        idle_s: how long the process outlives its last picture, in seconds.
        silence_s: how long a tile may take before the process counts as hung, in seconds.
        """
        self._threads, self._tile, self._idle_s, self._silence_s = threads, tile, idle_s, silence_s
        self._free = queue + 1
        self._turn = asyncio.Lock()
        self._process = ChildProcess("limner.models.realesrgan.worker", inherited=_INHERITED)
        self._idle: asyncio.TimerHandle | None = None
        self._pace: Pace | None = None
        self._closed = False

    @property
    def pid(self) -> int | None:
        """The process id; ``None`` while there is no process."""
        return self._process.pid

    async def upscale(self, upscale: Upscale) -> ReadyPicture:
        """Return the enlarged picture.

        Raises ``OverloadedError`` when too many wait, ``ProviderUnavailableError`` when the process ends
        or hangs, and ``InvalidFieldError`` for an input that can't be read or a file larger than may be kept.
        """
        async with self._place():
            data = await upscale.read()
            try:
                answer = await self._converse(upscale, data)
            except (OSError, EOFError, ValueError) as error:  # a timeout is an OSError
                _log.warning("the upscaler's process ended or hung: %r", error)
                self._end()
                raise ProviderUnavailableError from error
            except BaseException:
                self._end()
                raise
            if isinstance(answer, FieldViolation):
                raise InvalidFieldError([answer])
            return answer

    async def close(self) -> None:
        """End the process and wait for its end; pictures that run or wait become unavailable."""
        self._closed = True
        self._process.kill()
        async with self._turn:  # once they all have noticed
            self._end()
        await self._process.ended()

    @asynccontextmanager
    async def _place(self) -> AsyncIterator[None]:
        """Wait for this picture's turn, or refuse. Behind the last picture the process is idle."""
        if self._free <= 0:
            raise OverloadedError(retry_after_s=self._seconds_left())
        self._free -= 1
        try:
            async with self._turn:
                self._pace = None
                self._stay()
                try:
                    yield
                finally:
                    self._idle = asyncio.get_running_loop().call_later(self._idle_s, self._end)
        finally:
            self._free += 1

    def _seconds_left(self) -> float:
        """Estimate when the running picture is done, which frees the next place."""
        return self._pace.seconds_left() if self._pace else _UNKNOWN_WAIT_S

    async def _converse(self, upscale: Upscale, data: bytes) -> ReadyPicture | FieldViolation:
        if self._closed:
            raise EOFError
        await self._process.start()
        request = Request(
            network=upscale.network,
            factor=upscale.factor,
            output_format=upscale.output_format,
            tile=self._tile,
            threads=self._threads,
            size_bytes=len(data),
        )
        await self._process.send(request, (data,))
        while not (reply := await self._reply()).size_bytes:
            if reply.fault:
                return FieldViolation(reply.field, reply.fault)
            fraction = reply.steps_done / reply.steps
            self._pace = self._pace or Pace(fraction)
            self._pace.fraction = fraction
            upscale.progress(fraction)
        if reply.size_bytes > limits.MAX_STORED_BYTES:
            raise ValueError("a picture larger than is kept")
        result = await self._process.data(reply.size_bytes, self._silence_s)
        upscale.progress(1.0)
        info = PictureInfo(format=OutputFormat(reply.output_format), width=reply.width, height=reply.height)
        return ReadyPicture(result, info)

    async def _reply(self) -> Reply:
        reply = await self._process.line(self._silence_s)
        if not isinstance(reply, Reply):
            raise ValueError("an answer that nobody asked for")
        return reply

    def _stay(self) -> None:
        """Don't end for being idle."""
        if self._idle:
            self._idle.cancel()
        self._idle = None

    def _end(self) -> None:
        """Kill the process, which keeps nothing that could be lost."""
        self._stay()
        self._process.end()
