"""Threads with a bounded queue."""

import asyncio
import threading
from collections.abc import Iterator

import pytest

from limner.domain.errors import OverloadedError
from limner.service.executor import BoundedExecutor


@pytest.fixture
def gate() -> Iterator[threading.Event]:
    gate = threading.Event()
    yield gate
    gate.set()


async def test_a_result_and_an_error_come_back() -> None:
    executor = BoundedExecutor("test", threads=1, queue=1)

    assert await executor.run(max, 1, 2) == 2
    with pytest.raises(ZeroDivisionError):
        await executor.run(divmod, 1, 0)
    executor.close()


async def test_what_does_not_fit_is_refused_at_once(gate: threading.Event) -> None:
    executor = BoundedExecutor("test", threads=1, queue=1)
    calls = [asyncio.create_task(executor.run(gate.wait)) for _ in range(2)]
    await asyncio.sleep(0)  # both have their place now

    with pytest.raises(OverloadedError):
        await executor.run(gate.wait)

    gate.set()
    assert await asyncio.gather(*calls) == [True, True]
    assert await executor.run(max, 1, 2) == 2
    executor.close()


async def test_what_is_cancelled_while_it_waits_never_runs(gate: threading.Event) -> None:
    executor = BoundedExecutor("test", threads=1, queue=1)
    ran = threading.Event()
    running = asyncio.create_task(executor.run(gate.wait))
    waiting = asyncio.create_task(executor.run(ran.set))
    await asyncio.sleep(0)  # both stand in the queue now, in this order

    waiting.cancel()
    await asyncio.wait([waiting])
    gate.set()
    await running

    assert not ran.is_set()
    assert await executor.run(max, 1, 2) == 2
    executor.close()


async def test_a_place_is_free_only_when_the_work_is_done(gate: threading.Event) -> None:
    executor, begun = BoundedExecutor("test", threads=1, queue=0), threading.Event()

    def work() -> None:
        begun.set()
        gate.wait()

    running = asyncio.create_task(executor.run(work))
    await asyncio.to_thread(begun.wait, 10)
    running.cancel()
    await asyncio.wait([running])

    with pytest.raises(OverloadedError):
        await executor.run(max, 1, 2)

    gate.set()
    async with asyncio.timeout(2):
        while True:
            try:
                assert await executor.run(max, 1, 2) == 2
                break
            except OverloadedError:
                await asyncio.sleep(0.001)
    executor.close()
