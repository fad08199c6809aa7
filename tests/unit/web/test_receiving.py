"""Who may send pictures at a time: a user's own places, and nobody else's."""

import asyncio
from contextlib import AsyncExitStack

from limner.web.openai.inputs import Receiving


async def test_one_user_waits_for_a_place_and_holds_up_nobody_else() -> None:
    receiving, entered = Receiving(at_once=2), asyncio.Event()

    async def third() -> None:
        async with receiving.place("ada"):
            entered.set()

    async with AsyncExitStack() as held:
        for user in ("ada", "ada", "eve"):
            await asyncio.wait_for(held.enter_async_context(receiving.place(user)), 5)
        waiting = asyncio.create_task(third())
        async with receiving.place("bob"):
            assert not entered.is_set()
    await asyncio.wait_for(waiting, 5)
    assert entered.is_set()


async def test_who_leaves_while_waiting_takes_no_place() -> None:
    receiving = Receiving(at_once=1)

    async def another() -> None:
        async with receiving.place("ada"):
            raise AssertionError

    async with receiving.place("ada"):
        waiting = asyncio.create_task(another())
        await asyncio.sleep(0)
        waiting.cancel()
        await asyncio.wait({waiting}, timeout=5)
        assert waiting.cancelled()
    async with asyncio.timeout(5), receiving.place("ada"):
        pass
