"""The memory that answers may take together."""

import asyncio

from limner.outbound.budget import ByteBudget, Share


async def reserved(share: Share, size_bytes: int) -> bool:
    """Reserve, and tell whether there was room at once."""
    try:
        async with asyncio.timeout(0.02):
            await share.reserve(size_bytes)
    except TimeoutError:
        return False
    return True


async def test_what_fits_goes_in_at_once() -> None:
    budget = ByteBudget(10)
    with budget.share() as one, budget.share() as other:
        assert await reserved(one, 6) and await reserved(other, 4)
    with budget.share() as share:
        assert await reserved(share, 10)


async def test_what_does_not_fit_waits_until_it_does_in_the_order_of_coming() -> None:
    budget = ByteBudget(10)
    came: list[int] = []

    async def come(number: int, size_bytes: int) -> None:
        with budget.share() as share:
            await share.reserve(size_bytes)
            came.append(number)

    with budget.share() as first:
        await first.reserve(9)
        waiting = [asyncio.create_task(come(*each)) for each in ((1, 8), (2, 1), (3, 10))]
        await asyncio.sleep(0.01)
        assert came == []
    await asyncio.gather(*waiting)
    assert came == [1, 2, 3]


async def test_what_is_larger_than_all_goes_alone() -> None:
    budget = ByteBudget(10)
    with budget.share() as small, budget.share() as large:
        assert await reserved(small, 1)
        assert not await reserved(large, 99)
        small.give_back()
        assert await reserved(large, 99)
        assert not await reserved(small, 1)


async def test_what_grows_beyond_its_reservation_holds_the_next_ones_up() -> None:
    budget = ByteBudget(10)
    with budget.share() as growing, budget.share() as later:
        assert await reserved(growing, 2)
        growing.use(2)
        growing.use(20)
        assert not await reserved(later, 1)
        growing.give_back()
        assert await reserved(later, 10)


async def test_who_holds_something_never_waits() -> None:
    budget = ByteBudget(10)
    with budget.share() as one, budget.share() as other:
        assert await reserved(one, 5) and await reserved(other, 5)
        assert await reserved(one, 5) and await reserved(other, 5)


async def test_who_leaves_while_waiting_takes_nothing_and_lets_the_next_one_in() -> None:
    budget = ByteBudget(10)
    with budget.share() as first, budget.share() as gone, budget.share() as next_one:
        assert await reserved(first, 5)
        leaving = asyncio.create_task(gone.reserve(9))
        waiting = asyncio.create_task(next_one.reserve(5))
        await asyncio.sleep(0)
        leaving.cancel()
        await waiting
    with budget.share() as share:
        assert await reserved(share, 10)


async def test_room_that_comes_as_its_caller_leaves_is_not_lost() -> None:
    budget = ByteBudget(10)
    with budget.share() as first, budget.share() as gone:
        await first.reserve(10)
        leaving = asyncio.create_task(gone.reserve(10))
        await asyncio.sleep(0)
        first.give_back()
        leaving.cancel()
        await asyncio.gather(leaving, return_exceptions=True)
        assert await reserved(first, 10)
