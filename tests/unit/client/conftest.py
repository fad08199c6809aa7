from collections.abc import Iterator

import pytest

from limner.client import Client
from tests.standin import TOKEN, WORKSPACE, StandIn


@pytest.fixture
def service() -> Iterator[StandIn]:
    with StandIn() as service:
        yield service


@pytest.fixture
def client(service: StandIn) -> Iterator[Client]:
    with Client(service.address, token=TOKEN, workspace=WORKSPACE) as client:
        yield client
