"""An answer whose bytes the kernel sends from a file, without a look at them here."""

import asyncio
from typing import BinaryIO

from aiohttp import web
from aiohttp.abc import AbstractStreamWriter


class FileResponse(web.StreamResponse):
    """Sends a part of an open file, which stays open: whoever opened it closes it.

    aiohttp's own takes a path, and has an idea of its own of what the file's ``etag`` is.
    """

    def __init__(self, file: BinaryIO, start: int, end: int, *, status: int, headers: dict[str, str]) -> None:
        super().__init__(status=status, headers=headers)
        self.content_length = end - start
        self._file = file
        self._start_at = start

    async def send(self, request: web.Request) -> "FileResponse":
        """Send all of it, and return the answer, which is nothing to do with any more."""
        writer: AbstractStreamWriter | None = await self.prepare(request)
        transport, count = request.transport, self.content_length
        if writer is None or transport is None or count is None:
            raise ConnectionResetError("nobody is there any more")
        writer.send_headers()
        await asyncio.get_running_loop().sendfile(transport, self._file, self._start_at, count)
        await self.write_eof()
        return self
