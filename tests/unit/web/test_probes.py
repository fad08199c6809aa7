"""When the service is ready."""

import asyncio
from collections.abc import Awaitable, Callable

from limner.domain.errors import DatabaseUnavailableError
from limner.web.probes import Readiness


def failing(times: list[int]) -> Callable[[], Awaitable[None]]:
    async def check() -> None:
        times.append(1)
        raise DatabaseUnavailableError

    return check


async def fine() -> None:
    pass


async def test_what_does_not_answer_is_named() -> None:
    readiness = Readiness((("database", failing([])), ("storage", fine)))

    assert await readiness.missing() == ("database",)


async def test_many_who_ask_are_answered_by_one_look() -> None:
    looks: list[int] = []
    readiness = Readiness((("database", failing(looks)),), fresh_s=60)

    await asyncio.gather(*(readiness.missing() for _ in range(10)))
    await readiness.missing()

    assert len(looks) == 1


async def test_an_old_look_is_not_repeated() -> None:
    looks: list[int] = []
    readiness = Readiness((("database", failing(looks)),), fresh_s=0)

    await readiness.missing()
    await readiness.missing()

    assert len(looks) == 2


async def test_a_caller_who_leaves_takes_the_look_from_nobody() -> None:
    going, leave = asyncio.Event(), asyncio.Event()

    async def slow() -> None:
        going.set()
        await leave.wait()

    readiness = Readiness((("storage", slow),))
    first = asyncio.create_task(readiness.missing())
    await going.wait()
    second = asyncio.create_task(readiness.missing())
    first.cancel()
    leave.set()

    assert await second == ()


async def test_a_part_that_hangs_counts_as_missing() -> None:
    readiness = Readiness((("storage", asyncio.Event().wait),), timeout_s=0.01)  # type: ignore[arg-type]

    assert await readiness.missing() == ("storage",)
