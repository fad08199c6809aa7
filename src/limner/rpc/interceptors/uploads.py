"""Bounds how many uploads are received at a time: a message is whole in memory before its handler sees it."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, Final

import grpc
from grpc import aio

UPLOAD: Final = "/imageservice.v1.ImageService/UploadImage"

AT_ONCE: Final = 2
"""How many a worker takes at a time. Each may need 75 MiB: its 20 MiB come in many parts, and are copied twice."""

HELD_S: Final = 5.0
"""How long a caller who sends slowly keeps others out."""


class UploadGate(aio.ServerInterceptor):
    """Lets the others wait at the client, by HTTP/2's flow control: gRPC receives when the handler was found."""

    def __init__(self, at_once: int = AT_ONCE, held_s: float = HELD_S) -> None:
        self._places = asyncio.Semaphore(at_once)
        self._held_s = held_s

    async def intercept_service(
        self,
        continuation: Callable[[grpc.HandlerCallDetails], Awaitable[Any]],
        handler_call_details: grpc.HandlerCallDetails,
    ) -> Any:
        """Wait for a place, which the call has until it ends."""
        if handler_call_details.method == UPLOAD:
            await self._take_place()
        return await continuation(handler_call_details)

    async def _take_place(self) -> None:
        await self._places.acquire()
        place = _Place(self._places)
        # The task is the whole call's, from here to its end, however it ends.
        if task := asyncio.current_task():
            task.add_done_callback(lambda _: place.give_back())
        asyncio.get_running_loop().call_later(self._held_s, place.give_back)


class _Place:
    """One place, which is given back once."""

    def __init__(self, places: asyncio.Semaphore) -> None:
        self._places = places
        self._given_back = False

    def give_back(self) -> None:
        if not self._given_back:
            self._given_back = True
            self._places.release()
