"""A child process that does heavy work, seen from the service: its start, its end, lines and bytes both ways."""

import asyncio
import os
import sys
from asyncio import IncompleteReadError, StreamReader, StreamWriter
from asyncio.subprocess import PIPE, Process
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from typing import Final

from limner.domain import limits
from limner.models.conversation import MAX_LINE_BYTES, Line, decode

_CHUNK_BYTES: Final = 256 * limits.KIB
_INHERITED: Final = ("PATH", "LD_LIBRARY_PATH", "TMPDIR")
"""What every child sees of the environment: no credentials."""
_QUIET: Final = {"OMP_WAIT_POLICY": "passive"}
"""Threads that spin between two steps of work, libgomp's default, gain 8 to 14 % on free cores; where others want the
cores too, the same work took up to 10 times as long."""


class ChildProcess:
    """A module of this package in a process of its own. It starts when first needed, and again after it ended.

    ``inherited`` names what it sees of the environment besides; ``environment`` is set unless it is inherited.
    """

    def __init__(
        self,
        module: str,
        arguments: Sequence[str] = (),
        *,
        inherited: Iterable[str] = (),
        environment: Mapping[str, str] | None = None,
    ) -> None:
        self._command = (sys.executable, "-P", "-m", module, *arguments)
        self._inherited = (*_INHERITED, *inherited)
        self._environment = {**_QUIET, **(environment or {})}
        self._process: Process | None = None
        self._ending: set[asyncio.Task[tuple[bytes, bytes]]] = set()

    @property
    def pid(self) -> int | None:
        """The process id; ``None`` while there is no process."""
        return self._process.pid if self._process else None

    async def start(self) -> None:
        """Return when there is a process."""
        if self._process and self._process.returncode is None:
            return
        self.end()
        inherited = {name: os.environ[name] for name in self._inherited if name in os.environ}
        path = os.pathsep.join(path for path in sys.path if path)
        # A session of its own: Ctrl-C reaches the service alone, which then decides.
        self._process = await asyncio.create_subprocess_exec(
            *self._command,
            stdin=PIPE,
            stdout=PIPE,
            env={**self._environment, **inherited, "PYTHONPATH": path},
            start_new_session=True,
            limit=MAX_LINE_BYTES,
        )

    async def send(self, line: Line, data: Sequence[bytes] = ()) -> None:
        """Say a line and what follows it. Nothing else may be said meanwhile."""
        requests, _ = self._streams()
        requests.write(line.encode())
        for each in data:
            for start in range(0, len(each), _CHUNK_BYTES):
                requests.write(each[start : start + _CHUNK_BYTES])
                await requests.drain()

    def say(self, line: Line) -> None:
        """Say a short line, without waiting for the process to take it."""
        with suppress(EOFError):
            self._streams()[0].write(line.encode())

    async def line(self, within_s: float) -> Line:
        """Return the next line. Raises ``EOFError``, ``OSError`` or ``ValueError`` when none comes."""
        async with asyncio.timeout(within_s):
            return decode(await self._streams()[1].readuntil())

    async def data(self, size_bytes: int, within_s: float) -> bytes:
        """Return what follows a line, read in parts, since copying the whole at once would stall the loop."""
        _, replies = self._streams()
        chunks = []
        async with asyncio.timeout(within_s):
            while size_bytes > 0:
                chunk = await replies.read(min(size_bytes, _CHUNK_BYTES))
                if not chunk:
                    raise IncompleteReadError(b"", size_bytes)
                chunks.append(chunk)
                size_bytes -= len(chunk)
        return chunks[0] if len(chunks) == 1 else await asyncio.to_thread(b"".join, chunks)

    def kill(self) -> None:
        """Kill the process, which keeps nothing that could be lost; whoever listens to it notices."""
        if self._process:
            with suppress(ProcessLookupError):
                self._process.kill()

    def end(self) -> None:
        """Kill the process, to which nobody listens, and take leave of it in the background."""
        self.kill()
        process, self._process = self._process, None
        if process is None:
            return
        farewell = asyncio.get_running_loop().create_task(process.communicate())
        self._ending.add(farewell)
        farewell.add_done_callback(self._ending.discard)

    async def ended(self) -> None:
        """Return when no process is left."""
        await asyncio.gather(*self._ending)

    def _streams(self) -> tuple[StreamWriter, StreamReader]:
        if self._process is None or self._process.stdin is None or self._process.stdout is None:
            raise EOFError
        return self._process.stdin, self._process.stdout
