"""Seats in a worker."""

import pytest

from limner.domain.errors import OverloadedError
from limner.service.seats import Seats


def fill(seats: Seats, workspace: str) -> int:
    """Take seats until none is left for a workspace; return how many it got."""
    taken = 0
    try:
        while True:
            seats.take(workspace)
            taken += 1
    except OverloadedError:
        return taken


def test_there_are_so_many_seats_and_no_more() -> None:
    seats = Seats(4)
    assert fill(seats, "a") == 4
    assert fill(seats, "b") == 0
    seats.give("a")
    assert fill(seats, "b") == 1


def test_a_workspace_that_has_some_leaves_the_last_to_those_that_have_none() -> None:
    seats = Seats(32)
    assert fill(seats, "noisy") == 30
    seats.take("quiet")
    seats.take("silent")
    with pytest.raises(OverloadedError):
        seats.take("late")


def test_a_workspace_that_gave_all_back_counts_as_new() -> None:
    seats = Seats(16)
    fill(seats, "noisy")
    seats.take("quiet")
    seats.give("quiet")
    seats.take("quiet")


def test_work_of_a_dead_worker_gets_a_seat_even_when_none_is_free() -> None:
    seats = Seats(1)
    seats.take("a")
    seats.take_again("a")
    seats.give("a")
    with pytest.raises(OverloadedError):
        seats.take("b")
    seats.give("a")
    seats.take("b")
