"""What a slow reader of events is spared."""

import asyncio

from limner.service.events import Preview, Progress, Watch


async def test_of_what_was_not_read_the_newest_counts() -> None:
    watch = Watch()
    for step in range(1_000):
        watch.publish(Progress(step / 1_000))
        watch.publish(Preview(step % 2, bytes([step % 256]), "image/png"))
    watch.end()

    events = [event async for event in watch]

    assert [event for event in events if isinstance(event, Progress)] == [Progress(0.999)]
    assert {event.index for event in events if isinstance(event, Preview)} == {0, 1}
    assert len(events) == 3


async def test_events_come_as_they_happen() -> None:
    watch = Watch()
    read: list[object] = []

    async def reading() -> None:
        async for event in watch:
            read.append(event)  # noqa: PERF401 - each is looked at as it comes

    task = asyncio.create_task(reading())
    for step in (1, 2, 3):
        watch.publish(Progress(step / 4))
        await asyncio.sleep(0.001)
    watch.end()
    await asyncio.wait_for(task, 1)

    assert read == [Progress(0.25), Progress(0.5), Progress(0.75)]


async def test_an_ended_watch_yields_nothing() -> None:
    watch = Watch()
    watch.end()

    assert [event async for event in watch] == []
