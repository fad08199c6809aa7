"""Lookups that wait together are answered together, and each by what was there when it was asked."""

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime

import pytest

from limner.domain.errors import DatabaseUnavailableError, OverloadedError
from limner.domain.image import Image, OutputFormat
from limner.persistence.lookups import ImageLookups

AT = datetime(2026, 11, 28, tzinfo=UTC)


def image(image_id: str, workspace_id: str = "acme") -> Image:
    return Image(
        id=image_id,
        workspace_id=workspace_id,
        created_by_user_id="ada",
        width=1,
        height=1,
        size_bytes=1,
        format=OutputFormat.PNG,
        sha256="",
        created_at=AT,
        updated_at=AT,
    )


class Table:
    """Images that are read when the test lets them."""

    def __init__(self, *images: Image) -> None:
        self.images = list(images)
        self.batches: list[list[str]] = []
        self.error: Exception | None = None
        self.go_on = asyncio.Event()
        self.lookups = ImageLookups(self.read, queue_length=5)

    async def read(self, ids: Sequence[str]) -> Sequence[Image]:
        self.batches.append(sorted(ids))
        await self.go_on.wait()
        if self.error:
            raise self.error
        return [each for each in self.images if each.id in ids]

    def ask(self, image_id: str, workspace_id: str = "acme") -> "asyncio.Task[Image | None]":
        return asyncio.create_task(self.lookups.find(workspace_id, image_id))


async def settled() -> None:
    """Let all tasks go as far as they can."""
    for _ in range(5):
        await asyncio.sleep(0)


async def test_what_comes_while_one_is_asked_goes_together() -> None:
    table = Table(image("a"), image("b"))
    first = table.ask("a")
    await settled()
    rest = [table.ask("b"), table.ask("c"), table.ask("a")]
    await settled()
    table.go_on.set()

    assert await asyncio.gather(first, *rest) == [image("a"), image("b"), None, image("a")]
    assert table.batches == [["a"], ["a", "b", "c"]]


async def test_an_image_of_another_workspace_is_not_there() -> None:
    table = Table(image("a", "elsewhere"))
    table.go_on.set()

    assert await table.ask("a") is None
    assert await table.ask("a", "elsewhere") == image("a", "elsewhere")


async def test_each_is_told_when_it_fails_and_the_next_is_asked_anew() -> None:
    table = Table(image("a"))
    table.error = DatabaseUnavailableError("why")
    table.go_on.set()

    told = await asyncio.gather(*(table.ask("a") for _ in range(3)), return_exceptions=True)
    assert [(type(each), str(each)) for each in told] == [(DatabaseUnavailableError, "why")] * 3
    assert len({id(each) for each in told}) == 3

    table.error = None
    assert await table.ask("a") == image("a")


async def test_who_leaves_takes_nothing_from_others() -> None:
    table = Table(image("a"))
    leaving, staying = table.ask("a"), table.ask("a")
    await settled()
    leaving.cancel()
    table.go_on.set()

    assert await staying == image("a")


async def test_more_than_may_wait_are_refused_at_once() -> None:
    table = Table(image("a"))
    waiting = [table.ask("a")]
    await settled()
    waiting += [table.ask("a") for _ in range(5)]
    await settled()

    with pytest.raises(OverloadedError):
        await table.ask("a")
    table.go_on.set()
    assert await asyncio.gather(*waiting) == [image("a")] * 6
