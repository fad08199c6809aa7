"""The page of metrics, and the server of it."""

import asyncio
import subprocess
import sys
import threading
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from limner.domain.identifiers import new_id
from limner.liveness import WorkerLocks
from limner.metrics.page import GAUGES, metrics_page
from limner.metrics.server import MetricsServer
from limner.reservations import PortReservations
from limner.service import instruments
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
        new_id(): Vitals(in_flight=2, leased=2, quota_used=0.75, breakers=(OPEN, FINE)),
        new_id(): Vitals(in_flight=3, leased=2, breakers=(HALF_OPEN, FINE)),
    }
    silent = new_id()
    held = {worker_id: WorkerLocks(tmp_path / "workers") for worker_id in [*workers, silent]}
    for worker_id, locks in held.items():
        locks.hold(worker_id)
        if worker_id != silent:
            locks.tell(worker_id, workers[worker_id].encoded())
    _spool(tmp_path / "spool", 300, 400)

    page, content_type = metrics_page(tmp_path, clock=lambda: NOW)

    assert content_type.startswith("text/plain; version=")
    assert samples(page) == {
        ("limner_workers",): 3,
        ("limner_tasks_in_flight",): 5,
        ("limner_leases",): 4,
        ("limner_spool_bytes",): 700,
        ("limner_spool_pictures",): 2,
        ("limner_quota_used_ratio",): 0.75,
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
    assert samples(metrics_page(tmp_path)[0])["limner_workers",] == 0


def test_what_dead_workers_counted_stays_until_the_service_begins_anew(tmp_path: Path) -> None:
    for number in (1, 2):
        _count_in_a_process_of_its_own(tmp_path, number)

    found = samples(metrics_page(tmp_path)[0])

    assert found["limner_spend_usd_total", "nano-banana"] == 3
    assert found["limner_rpc_duration_seconds_count", "GenerateImages", "OK"] == 2
    assert found["limner_rpc_duration_seconds_sum", "GenerateImages", "OK"] == 3
    _count_in_a_process_of_its_own(tmp_path, 1, anew=True)
    assert samples(metrics_page(tmp_path)[0])["limner_spend_usd_total", "nano-banana"] == 1


def test_every_instrument_is_on_the_page_before_it_told_anything(tmp_path: Path) -> None:
    page = metrics_page(tmp_path)[0].decode()

    assert [each.name for each in instruments.INSTRUMENTS if f"# HELP {each.name}" not in page] == []
    assert [name for name in GAUGES if name in page] == list(GAUGES)


def test_openmetrics_is_answered_where_it_is_asked_for(tmp_path: Path) -> None:
    page, content_type = metrics_page(tmp_path, "application/openmetrics-text;version=1.0.0,text/plain;q=0.5")

    assert content_type.startswith("application/openmetrics-text")
    assert page.endswith(b"# EOF\n")


def test_no_label_could_hold_a_user_a_workspace_a_prompt_or_an_id() -> None:
    allowed = {"method", "code", "model", "outcome", "operation", "reason"}
    assert {label for each in instruments.INSTRUMENTS for label in each.labels} <= allowed


def _spool(folder: Path, *sizes: int) -> None:
    for number, size in enumerate(sizes):
        file = folder / f"{number:02}" / new_id()
        file.parent.mkdir(parents=True)
        file.write_bytes(bytes(size))


def _count_in_a_process_of_its_own(data_dir: Path, number: int, *, anew: bool = False) -> None:
    """Count as a worker does that then dies without a word."""
    code = f"""
import os
from pathlib import Path
from limner.metrics import recorder
from limner.service import instruments
recorder.prepare(Path({str(data_dir)!r}), anew={anew})
instruments.record_with(recorder.PrometheusRecorder())
instruments.SPEND.add({number}, "nano-banana")
instruments.RPC_DURATION.observe({number}, "GenerateImages", "OK")
os._exit(9)
"""
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 9


@pytest.fixture
def reservations() -> PortReservations:
    return PortReservations()


@pytest.fixture
async def port(reservations: PortReservations) -> AsyncIterator[int]:
    port = reservations.reserve("127.0.0.1")
    server = MetricsServer(lambda accept: (b"limner_workers 1.0\n", f"text/plain; accept={accept}"), timeout_s=0.3)
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
    answer = await ask(port, b"GET " + path + b" HTTP/1.1\r\nHost: x\r\naCCept:  text/x\r\n\r\n")

    head, _, body = answer.partition(b"\r\n\r\n")
    assert head.splitlines() == [
        b"HTTP/1.1 200 OK",
        b"Content-Type: text/plain; accept=text/x",
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

    def slow_page(accept: str) -> tuple[bytes, str]:
        go_on.wait(5)
        return b"done\n", "text/plain"

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
    server = MetricsServer(lambda accept: (b"", "text/plain"))
    await server.start("127.0.0.1", port)
    _, writer = await asyncio.open_connection("127.0.0.1", port)
    await asyncio.sleep(0.02)
    await asyncio.wait_for(server.stop(), 2)
    reservations.release()
    with pytest.raises(OSError):
        await asyncio.open_connection("127.0.0.1", port)
    writer.close()
