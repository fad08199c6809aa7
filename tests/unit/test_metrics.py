"""The page of metrics, and the server of it."""

import asyncio
import threading
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from limner.domain.identifiers import new_id
from limner.liveness import WorkerLocks
from limner.metrics import MetricsServer, metrics_page
from limner.reservations import PortReservations
from limner.vitals import BreakerVitals, Vitals
from tests.samples import samples

NOW = datetime(2026, 11, 25, 12, tzinfo=UTC)
OPEN = BreakerVitals(
    provider="openai", model='odd "name"', consecutive_failures=5, open_until=NOW + timedelta(seconds=8)
)
HALF_OPEN = replace(OPEN, consecutive_failures=7, open_until=NOW)
FINE = BreakerVitals(provider="fal", model="flux-dev", consecutive_failures=1)


def test_the_page_tells_of_all_living_workers(tmp_path: Path) -> None:
    workers = {
        new_id(): Vitals(in_flight=2, breakers=(OPEN, FINE)),
        new_id(): Vitals(breakers=(HALF_OPEN, FINE)),
    }
    silent = new_id()
    held = {worker_id: WorkerLocks(tmp_path) for worker_id in [*workers, silent]}
    for worker_id, locks in held.items():
        locks.hold(worker_id)
        if worker_id != silent:
            locks.tell(worker_id, workers[worker_id].encoded())
    busy, idle = workers

    page = metrics_page(WorkerLocks(tmp_path), lambda: NOW)

    assert samples(page) == {
        ("limner_workers",): 3,
        ("limner_tasks_in_flight", busy): 2,
        ("limner_tasks_in_flight", idle): 0,
        ("limner_breaker_state", "fal", "flux-dev", "closed"): 2,
        ("limner_breaker_state", "fal", "flux-dev", "half-open"): 0,
        ("limner_breaker_state", "fal", "flux-dev", "open"): 0,
        ("limner_breaker_state", "openai", 'odd "name"', "closed"): 0,
        ("limner_breaker_state", "openai", 'odd "name"', "half-open"): 1,
        ("limner_breaker_state", "openai", 'odd "name"', "open"): 1,
        ("limner_breaker_consecutive_failures", "fal", "flux-dev"): 1,
        ("limner_breaker_consecutive_failures", "openai", 'odd "name"'): 7,
    }
    for worker_id, locks in held.items():
        locks.release(worker_id)
    assert samples(metrics_page(WorkerLocks(tmp_path))) == {("limner_workers",): 0}


@pytest.fixture
def reservations() -> PortReservations:
    return PortReservations()


@pytest.fixture
async def port(reservations: PortReservations) -> AsyncIterator[int]:
    port = reservations.reserve("127.0.0.1")
    server = MetricsServer(lambda: b"limner_workers 1.0\n", timeout_s=0.3)
    await server.start("127.0.0.1", port)
    yield port
    await server.stop()
    reservations.release()


async def ask(port: int, request: bytes) -> bytes:
    """Return the whole answer: nothing from a server that ends the connection, politely or not."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        writer.write(request)
        return await asyncio.wait_for(reader.read(), 5)
    except ConnectionResetError:
        return b""
    finally:
        writer.close()


@pytest.mark.parametrize("path", [b"/metrics", b"/metrics?name=x"])
async def test_the_server_answers_with_the_page(port: int, path: bytes) -> None:
    answer = await ask(port, b"GET " + path + b" HTTP/1.1\r\nHost: x\r\nAccept: */*\r\n\r\n")

    head, _, body = answer.partition(b"\r\n\r\n")
    assert head.splitlines() == [
        b"HTTP/1.1 200 OK",
        b"Content-Type: text/plain; version=0.0.4; charset=utf-8",
        b"Content-Length: 19",
        b"Connection: close",
    ]
    assert body == b"limner_workers 1.0\n"


@pytest.mark.parametrize(
    "line",
    [b"GET / HTTP/1.1", b"POST /metrics HTTP/1.1", b"HEAD /metrics HTTP/1.1", b"GET /metrics/ HTTP/1.1", b"\x00"],
)
async def test_everything_else_is_not_found(port: int, line: bytes) -> None:
    assert (await ask(port, line + b"\r\n\r\n")).startswith(b"HTTP/1.1 404 Not Found\r\n")


async def test_a_request_without_end_is_cut_off(port: int) -> None:
    assert await ask(port, b"GET /metrics HTTP/1.1\r\nX: " + b"x" * 100_000) == b""


async def test_who_says_nothing_is_cut_off_in_time(port: int) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(b"GET /metr")
    assert await asyncio.wait_for(reader.read(), 5) == b""
    writer.close()


async def test_many_who_say_nothing_leave_no_room_but_harm_nobody_for_long(port: int) -> None:
    idle = [await asyncio.open_connection("127.0.0.1", port) for _ in range(40)]
    await asyncio.sleep(0.5)
    assert (await ask(port, b"GET /metrics HTTP/1.1\r\n\r\n")).startswith(b"HTTP/1.1 200")
    for _, writer in idle:
        writer.close()


async def test_a_page_that_takes_long_does_not_hold_up_the_loop(reservations: PortReservations) -> None:
    go_on = threading.Event()

    def slow_page() -> bytes:
        go_on.wait(5)
        return b"done\n"

    port = reservations.reserve("127.0.0.1")
    server = MetricsServer(slow_page)
    await server.start("127.0.0.1", port)
    answers = [asyncio.create_task(ask(port, b"GET /metrics HTTP/1.1\r\n\r\n")) for _ in range(3)]
    await asyncio.sleep(0.05)
    assert (await ask(port, b"GET / HTTP/1.1\r\n\r\n")).startswith(b"HTTP/1.1 404")
    go_on.set()
    assert [answer.endswith(b"done\n") for answer in await asyncio.gather(*answers)] == [True] * 3
    await server.stop()
    reservations.release()


async def test_the_end_cuts_off_who_is_connected(reservations: PortReservations) -> None:
    port = reservations.reserve("127.0.0.1")
    server = MetricsServer(lambda: b"")
    await server.start("127.0.0.1", port)
    _, writer = await asyncio.open_connection("127.0.0.1", port)
    await asyncio.sleep(0.02)
    await asyncio.wait_for(server.stop(), 2)
    reservations.release()
    with pytest.raises(OSError):
        await asyncio.open_connection("127.0.0.1", port)
    writer.close()
