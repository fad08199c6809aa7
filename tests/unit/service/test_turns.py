"""Turns at a busy model."""

import asyncio
from contextlib import AsyncExitStack

import pytest

from limner.domain.errors import OverloadedError
from limner.service.turns import FairTurns


async def settled() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


class Crowd:
    """Tasks that take turns; each holds its own until it is let go."""

    def __init__(self, turns: FairTurns) -> None:
        self._turns = turns
        self.served: list[str] = []
        self.tasks: list[asyncio.Task[None]] = []
        self._ends: list[asyncio.Event] = []

    async def come(self, *workspaces: str) -> None:
        for workspace in workspaces:
            self.tasks.append(asyncio.create_task(self._take(workspace)))
            await settled()

    async def end_one(self) -> None:
        self._ends.pop(0).set()
        await settled()

    async def end_all(self) -> None:
        while self._ends:
            await self.end_one()

    async def _take(self, workspace: str) -> None:
        async with self._turns.turn(workspace):
            self.served.append(workspace)
            self._ends.append(end := asyncio.Event())
            await end.wait()


async def test_only_so_many_go_at_once() -> None:
    crowd = Crowd(FairTurns(2, queue=10))
    await crowd.come("a", "a", "a")
    assert crowd.served == ["a", "a"]
    await crowd.end_one()
    assert crowd.served == ["a", "a", "a"]
    await crowd.end_all()


async def test_workspaces_take_turns_whoever_came_first() -> None:
    crowd = Crowd(FairTurns(1, queue=10))
    await crowd.come("a", "a", "a", "a", "b", "b", "c")
    await crowd.end_all()
    assert crowd.served == ["a", "a", "b", "c", "a", "b", "a"]


async def test_a_workspace_waits_in_a_bounded_line_of_its_own() -> None:
    crowd = Crowd(FairTurns(1, queue=2))
    await crowd.come("a", "a", "a", "a", "b")
    with pytest.raises(OverloadedError):
        await crowd.tasks[3]
    await crowd.end_all()
    assert crowd.served.count("a") == 3
    assert crowd.served.count("b") == 1


async def test_who_leaves_the_line_takes_no_turn() -> None:
    crowd = Crowd(FairTurns(1, queue=10))
    await crowd.come("a", "b", "c")
    crowd.tasks[1].cancel()
    await settled()
    await crowd.end_all()
    assert crowd.served == ["a", "c"]


async def test_who_leaves_as_the_turn_comes_passes_it_on() -> None:
    crowd = Crowd(FairTurns(1, queue=10))
    await crowd.come("a", "b", "c")
    crowd._ends.pop(0).set()
    await crowd.tasks[0]
    crowd.tasks[1].cancel()
    await settled()
    await crowd.end_all()
    assert crowd.served[-1] == "c"
    await crowd.come("d")
    assert crowd.served[-1] == "d"
    await crowd.end_all()


async def test_no_bound_lets_everybody_in() -> None:
    turns = FairTurns(0, queue=0)
    async with AsyncExitStack() as stack:
        for _ in range(100):
            await stack.enter_async_context(turns.turn("a"))


async def test_an_empty_line_refuses_and_leaves_no_trace() -> None:
    crowd = Crowd(FairTurns(1, queue=0))
    await crowd.come("a", "a")
    with pytest.raises(OverloadedError):
        await crowd.tasks[1]
    await crowd.end_all()
    await crowd.come("b")
    assert crowd.served == ["a", "b"]
    await crowd.end_all()
