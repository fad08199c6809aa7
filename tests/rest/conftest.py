"""One real Envoy before one stand-in for the whole session; more of either where a test needs them."""

import asyncio
import threading
from collections.abc import Coroutine, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

import httpx
import pytest

from limner.gateway.options import GatewayOptions
from limner.gateway.process import Gateway
from tests.rest.stand_in import StandIn, serve

ORIGIN = "https://app.example"
TIMEOUT_S = 30
T = TypeVar("T")


class Background:
    """An event loop in a thread of its own, so that the tests may block."""

    def __init__(self) -> None:
        self.loop = asyncio.new_event_loop()
        self.thread = threading.Thread(target=self.loop.run_forever)
        self.thread.start()

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(work, self.loop).result(TIMEOUT_S)

    def close(self) -> None:
        self.loop.call_soon_threadsafe(self.loop.stop)
        self.thread.join()
        self.loop.close()

    @contextmanager
    def gateway(self, options: GatewayOptions) -> Iterator[Gateway]:
        gateway = Gateway(options, concurrency=1)
        self.run(gateway.start())
        try:
            yield gateway
        finally:
            self.run(gateway.stop())


@pytest.fixture(scope="session")
def background() -> Iterator[Background]:
    background = Background()
    yield background
    background.close()


@pytest.fixture(scope="session")
def upstream(background: Background) -> Iterator[tuple[StandIn, str]]:
    server, stand_in, address = background.run(serve())
    yield stand_in, address
    background.run(server.stop(None))


@pytest.fixture
def stand_in(upstream: tuple[StandIn, str]) -> StandIn:
    return upstream[0]


@pytest.fixture(scope="session")
def gateway(background: Background, upstream: tuple[StandIn, str]) -> Iterator[Gateway]:
    with background.gateway(GatewayOptions(port=0, upstreams=[upstream[1]], cors_origins=[ORIGIN])) as gateway:
        yield gateway


@pytest.fixture(scope="session")
def rest(gateway: Gateway) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=f"http://{gateway.address}", timeout=TIMEOUT_S) as client:
        yield client
