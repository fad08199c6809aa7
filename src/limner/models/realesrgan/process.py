"""The worker process, seen from the service: a bounded queue, one picture at a time, an end when idle."""

import asyncio
import logging
import os
import sys
import time
from asyncio import IncompleteReadError, StreamReader, StreamWriter
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from typing import Final

from limner.domain import limits
from limner.domain.errors import FieldViolation, InvalidFieldError, OverloadedError, ProviderUnavailableError
from limner.domain.image import OutputFormat
from limner.models.realesrgan.wire import Reply, Request

_CHUNK_BYTES: Final = 256 * limits.KIB
_UNKNOWN_WAIT_S: Final = 10.0
_INHERITED: Final = ("PATH", "LD_LIBRARY_PATH", "TMPDIR", "OMP_WAIT_POLICY", "GOMP_SPINCOUNT")
"""What the worker sees of the environment: no credentials."""

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


@dataclass(frozen=True, slots=True, kw_only=True)
class Upscaled:
    """The enlarged picture. Lengths are pixels."""

    data: bytes
    width: int
    height: int


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
        self._process: Process | None = None
        self._idle: asyncio.TimerHandle | None = None
        self._ending: set[asyncio.Task[tuple[bytes, bytes]]] = set()
        self._pace: Pace | None = None
        self._closed = False

    @property
    def pid(self) -> int | None:
        """The process id; ``None`` while there is no process."""
        return self._process.pid if self._process else None

    async def upscale(self, upscale: Upscale) -> Upscaled:
        """Return the enlarged picture.

        Raises ``OverloadedError`` when too many wait, ``ProviderUnavailableError`` when the process ends
        or hangs, and ``InvalidFieldError`` when the file gets larger than may be kept.
        """
        async with self._place():
            data = await upscale.read()
            try:
                return await self._converse(upscale, data)
            except (OSError, EOFError, ValueError) as error:  # a timeout is an OSError
                _log.warning("the upscaler's process ended or hung: %r", error)
                self._end()
                raise ProviderUnavailableError from error
            except BaseException:
                self._end()
                raise

    async def close(self) -> None:
        """End the process and wait for its end; pictures that run or wait become unavailable."""
        self._closed = True
        self._kill()
        async with self._turn:  # once they all have noticed
            self._end()
        await asyncio.gather(*self._ending)

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

    async def _converse(self, upscale: Upscale, data: bytes) -> Upscaled:
        requests, replies = await self._streams()
        request = Request(
            network=upscale.network,
            factor=upscale.factor,
            output_format=upscale.output_format,
            tile=self._tile,
            threads=self._threads,
            size_bytes=len(data),
        )
        await _send(requests, request, data)
        while True:
            async with asyncio.timeout(self._silence_s):
                reply = Reply.decode(await replies.readuntil())
            if reply.size_bytes:
                break
            fraction = reply.steps_done / reply.steps
            self._pace = self._pace or Pace(fraction)
            self._pace.fraction = fraction
            upscale.progress(fraction)
        async with asyncio.timeout(self._silence_s):
            result = await _receive(replies, reply.size_bytes)
        upscale.progress(1.0)
        return Upscaled(data=result, width=reply.width, height=reply.height)

    async def _streams(self) -> tuple[StreamWriter, StreamReader]:
        """Return the ways to and from the process, started if need be."""
        if not self._closed and (self._process is None or self._process.returncode is not None):
            self._end()
            self._process = await _start()
        process = self._process
        if self._closed or process is None or process.stdin is None or process.stdout is None:
            raise EOFError
        return process.stdin, process.stdout

    def _stay(self) -> None:
        """Don't end for being idle."""
        if self._idle:
            self._idle.cancel()
        self._idle = None

    def _end(self) -> None:
        """Kill the process, which keeps nothing that could be lost, and take leave of it in the background."""
        self._stay()
        self._kill()
        process, self._process = self._process, None
        if process:
            farewell = asyncio.get_running_loop().create_task(process.communicate())
            self._ending.add(farewell)
            farewell.add_done_callback(self._ending.discard)

    def _kill(self) -> None:
        if self._process:
            with suppress(ProcessLookupError):
                self._process.kill()


async def _start() -> Process:
    # Threads that spin between two layers, libgomp's default, gain 8 to 14 % on free cores, but where others want
    # the cores too the same picture took up to 10 times as long. An operator may set it otherwise.
    environment = {"OMP_WAIT_POLICY": "passive"}
    environment |= {name: os.environ[name] for name in _INHERITED if name in os.environ}
    environment["PYTHONPATH"] = os.pathsep.join(path for path in sys.path if path)
    module = "limner.models.realesrgan.worker"
    # A session of its own: Ctrl-C reaches the service alone, which then decides.
    return await asyncio.create_subprocess_exec(
        sys.executable, "-P", "-m", module, stdin=PIPE, stdout=PIPE, env=environment, start_new_session=True
    )


async def _send(stream: StreamWriter, request: Request, data: bytes) -> None:
    stream.write(request.encode())
    for start in range(0, len(data), _CHUNK_BYTES):
        stream.write(data[start : start + _CHUNK_BYTES])
        await stream.drain()


async def _receive(stream: StreamReader, size_bytes: int) -> bytes:
    """Read so many bytes, in parts, since copying the whole at once would stall the loop."""
    if size_bytes > limits.MAX_STORED_BYTES:
        too_large = f"the picture takes more than {limits.MAX_STORED_BYTES // limits.MIB} MiB in this format"
        raise InvalidFieldError([FieldViolation("outputFormat", too_large)])
    chunks = []
    while size_bytes > 0:
        chunk = await stream.read(min(size_bytes, _CHUNK_BYTES))
        if not chunk:
            raise IncompleteReadError(b"", size_bytes)
        chunks.append(chunk)
        size_bytes -= len(chunk)
    return await asyncio.to_thread(b"".join, chunks)
