"""How long to wait before trying again."""

import pytest

from limner.domain.backoff import Backoff


@pytest.mark.parametrize(("failures", "delay_s"), [(1, 0.5), (2, 1.5), (3, 4.5), (4, 5.0), (100_000, 5.0)])
def test_waits_grow_up_to_the_longest(failures: int, delay_s: float) -> None:
    assert Backoff(first_s=0.5, longest_s=5.0, factor=3).delay_s(failures) == delay_s
