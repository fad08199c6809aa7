"""What happens to a running task, for those who watch it."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import TypeAlias

from limner.domain.image import Image
from limner.domain.task import Generation


@dataclass(frozen=True, slots=True)
class Queued:
    """The task was accepted and is kept."""

    generation_id: str


@dataclass(frozen=True, slots=True)
class Progress:
    """A part of the work is done: 0 to 1 of the whole."""

    fraction: float


@dataclass(frozen=True, slots=True)
class Preview:
    """An early, rough form of a picture."""

    index: int
    data: bytes
    content_type: str


@dataclass(frozen=True, slots=True)
class Finished:
    """A picture is kept and shown."""

    image: Image


@dataclass(frozen=True, slots=True)
class Completed:
    """The end, good or bad."""

    generation: Generation


Event: TypeAlias = Queued | Progress | Preview | Finished | Completed


class Watch:
    """The events of one run that one watcher has not read yet.

    Bounded however slowly they are read: a newer progress takes the place of an older one, and so does
    a newer preview of the same picture.
    """

    def __init__(self, *, previews: bool = True) -> None:
        self.previews = previews
        """Whether early forms are wanted: a provider may charge for them."""
        self._pending: dict[object, Progress | Preview] = {}
        self._wake = asyncio.Event()
        self._ended = False

    def publish(self, event: Progress | Preview) -> None:
        """Add an event."""
        self._pending[event.index if isinstance(event, Preview) else "progress"] = event
        self._wake.set()

    def end(self) -> None:
        """Tell that no event follows."""
        self._ended = True
        self._wake.set()

    async def __aiter__(self) -> AsyncIterator[Progress | Preview]:
        while True:
            await self._wake.wait()
            self._wake.clear()
            events, self._pending = self._pending, {}
            for event in events.values():
                yield event
            if self._ended:
                return
