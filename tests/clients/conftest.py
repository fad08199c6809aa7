from collections.abc import Iterator

import pytest

from tests.standin import StandIn


@pytest.fixture
def service() -> Iterator[StandIn]:
    with StandIn() as service:
        yield service
