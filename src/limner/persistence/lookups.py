"""Lookups of single images, all that wait at a time answered by one statement.

A lookup is a visit to a thread, a transaction and a statement; the statement is the least of it. Galleries ask for
hundreds of pictures at once, and each needs its row first.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from contextvars import Context
from typing import Final, NamedTuple

from limner.domain.errors import LimnerError, OverloadedError
from limner.domain.image import Image

_AT_ONCE: Final = 100


class _Lookup(NamedTuple):
    workspace_id: str
    image_id: str
    answer: "asyncio.Future[Image | None]"


class ImageLookups:
    """Asks for one batch at a time. What comes meanwhile waits for the next, so each sees all that was before it."""

    def __init__(self, read: Callable[[Sequence[str]], Awaitable[Sequence[Image]]], *, queue_length: int) -> None:
        """``read`` returns those of the images that are not deleted; what it raises, all of the batch are told."""
        self._read = read
        self._queue_length = queue_length
        self._waiting: list[_Lookup] = []
        self._asking: asyncio.Task[None] | None = None

    async def find(self, workspace_id: str, image_id: str) -> Image | None:
        """Return an image of the workspace, or ``None``. Raises ``OverloadedError`` when too many wait."""
        if len(self._waiting) >= self._queue_length:
            raise OverloadedError
        answer: asyncio.Future[Image | None] = asyncio.get_running_loop().create_future()
        self._waiting.append(_Lookup(workspace_id, image_id, answer))
        if self._asking is None:
            # In no call's context: it works for several.
            self._asking = asyncio.create_task(self._ask(), name="image-lookups", context=Context())
        return await answer

    async def _ask(self) -> None:
        try:
            while self._waiting:
                batch, self._waiting = self._waiting[:_AT_ONCE], self._waiting[_AT_ONCE:]
                await self._answer([each for each in batch if not each.answer.done()])
        finally:
            self._asking = None

    async def _answer(self, batch: Sequence[_Lookup]) -> None:
        try:
            found = {image.id: image for image in await self._read([each.image_id for each in batch])} if batch else {}
        except BaseException as error:
            for each in batch:
                _tell(each.answer, error)
            if not isinstance(error, Exception):
                raise
            return
        for each in batch:
            if not each.answer.done():
                image = found.get(each.image_id)
                each.answer.set_result(image if image and image.workspace_id == each.workspace_id else None)


def _tell(answer: "asyncio.Future[Image | None]", error: BaseException) -> None:
    """Tell one of several who wait; each gets an error of its own, since each adds where it was raised."""
    if answer.done():  # who asked has left
        return
    if isinstance(error, asyncio.CancelledError):
        answer.cancel()
    else:
        answer.set_exception(type(error)(error.message) if isinstance(error, LimnerError) else error)
