"""Receives the message of a call, whole, once its caller is known: how many are received at a time has a bound.

A message may have ``limits.MAX_MESSAGE_BYTES``. Nobody sees how much of it has come, so silence looks like slowness:
time is what bounds both.
"""

import asyncio
import itertools
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

from grpc import aio

from limner.domain.errors import FieldViolation, InvalidFieldError, OverloadedError
from limner.rpc.call import Context, current_call
from limner.rpc.interceptors.layer import Answer
from limner.rpc.interceptors.places import FairPlaces, Place

UPLOADS: Final = frozenset({"/imageservice.v1.ImageService/UploadImage", "/imageservice.v1.ImageService/VerifyImage"})
"""What brings a picture along."""

UPLOADS_AT_ONCE: Final = 3
"""How many a worker takes at a time. Each may need 60 MiB: its 20 MiB come in many parts, and are copied twice."""

HELD_S: Final = 1.0
"""How long an upload that is not there yet keeps other callers out of its place."""

HELD_FROM_OWN: Final = 5
"""How many times as long it keeps its caller's own out: they are likely to be as slow, and cost memory besides."""

SLOW_UPLOADS: Final = 16
"""How many are received beside those in a place, having lost theirs."""

OTHERS_AT_ONCE: Final = 64
"""How many other messages are received at a time. An honest one is small, and there when it is asked for."""


class ReceivingLayer:
    """Reads the message; for uploads, when it is their turn."""

    def __init__(
        self,
        *,
        uploads_at_once: int = UPLOADS_AT_ONCE,
        held_s: float = HELD_S,
        slow_uploads: int = SLOW_UPLOADS,
        others_at_once: int = OTHERS_AT_ONCE,
    ) -> None:
        self._places = FairPlaces(uploads_at_once)
        self._held_s = held_s
        self._uploads = Receipts(uploads_at_once + slow_uploads)
        self._others = Receipts(others_at_once)

    def around(self, answer: Answer, method: str) -> Answer:
        """Pass the message on; raise ``OverloadedError`` where it is too slow while others wait."""

        async def received(requests: Any, context: Context) -> Any:
            return await answer(await self._others.receive(context), context)

        async def uploaded(requests: Any, context: Context) -> Any:
            async with self._places.place(_caller()) as place:
                with self._for_a_while(place):
                    request = await self._uploads.receive(context)
                return await answer(request, context)

        return uploaded if method in UPLOADS else received

    @contextmanager
    def _for_a_while(self, place: Place) -> Iterator[None]:
        """Give the place to who waits for it, should the message not be there before."""
        loop = asyncio.get_running_loop()
        timer: asyncio.TimerHandle

        def look(times: int) -> None:
            nonlocal timer
            if not place.pass_on(own=times >= HELD_FROM_OWN):
                timer = loop.call_later(self._held_s, look, times + 1)

        timer = loop.call_later(self._held_s, look, 1)
        try:
            yield
        finally:
            timer.cancel()


class Receipts:
    """The messages that are being received. Where they are too many, the slowest of who has most is given up."""

    def __init__(self, at_once: int) -> None:
        self._at_once = at_once
        self._running: dict[int, _Receipt] = {}  # the oldest first
        self._numbers = itertools.count()

    async def receive(self, context: Context) -> Any:
        """Return the message. Raises ``InvalidFieldError`` when there is none, ``OverloadedError`` when given up."""
        with self._counted() as receipt:
            try:
                message = await context.read()
            except asyncio.CancelledError:
                if not receipt.given_up:
                    raise
                receipt.task.uncancel()
                raise OverloadedError("The request came too slowly while many others came. Try again later.") from None
        if message is aio.EOF:
            raise InvalidFieldError([FieldViolation("request", "is missing: the call holds no message")])
        return message

    @contextmanager
    def _counted(self) -> "Iterator[_Receipt]":
        number, receipt = next(self._numbers), _Receipt(_caller())
        self._running[number] = receipt
        if len(self._running) > self._at_once:
            self._give_one_up()
        try:
            yield receipt
        finally:
            self._running.pop(number, None)

    def _give_one_up(self) -> None:
        """Let the oldest of the caller with the most go; of several such callers, the one whose is the oldest."""
        counts = Counter(each.caller for each in self._running.values())
        most = max(counts.values())
        number = next(number for number, each in self._running.items() if counts[each.caller] == most)
        receipt = self._running.pop(number)
        receipt.given_up = True
        receipt.task.cancel()


class _Receipt:
    """A message on its way."""

    __slots__ = ("caller", "given_up", "task")

    def __init__(self, caller: str) -> None:
        task = asyncio.current_task()
        assert task is not None
        self.task = task
        self.caller = caller
        self.given_up = False


def _caller() -> str:
    """Return who calls; all who need no token count as one."""
    caller = current_call().caller
    return caller.user_id if caller else ""
