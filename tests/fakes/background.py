"""Fakes beside a test that blocks: they run on an event loop in a thread of its own."""

import asyncio
import threading
from collections.abc import Iterator
from contextlib import AbstractAsyncContextManager, contextmanager
from typing import Any, TypeVar

T = TypeVar("T")


class Background:
    """An event loop in a thread."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="fakes", daemon=True)
        self._entered: list[AbstractAsyncContextManager[Any]] = []
        self._thread.start()

    def enter(self, fake: AbstractAsyncContextManager[T]) -> T:
        """Start a fake, and return it; it is stopped in the end."""
        started = asyncio.run_coroutine_threadsafe(fake.__aenter__(), self._loop).result(10)
        self._entered.append(fake)
        return started

    def stop(self) -> None:
        """Stop all fakes, the last one first."""
        for fake in reversed(self._entered):
            asyncio.run_coroutine_threadsafe(fake.__aexit__(None, None, None), self._loop).result(10)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)
        self._loop.close()


@contextmanager
def background() -> Iterator[Background]:
    """Run fakes for as long as this is entered."""
    running = Background()
    try:
        yield running
    finally:
        running.stop()
