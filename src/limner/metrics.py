"""Metrics for Prometheus: what the living workers of a data directory tell of themselves, as a page.

The page is made in a thread from the workers' files, so a worker that hangs holds nobody up. The server knows one
path and bounds all else: the size of a request, the time for it, and how many there are at once. One page is made at a
time.
"""

import asyncio
import socket
from collections import Counter
from collections.abc import Callable, Iterator
from datetime import datetime
from http import HTTPStatus
from typing import Final

from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4, generate_latest
from prometheus_client.metrics_core import GaugeMetricFamily, Metric
from prometheus_client.registry import CollectorRegistry

from limner.liveness import WorkerLocks
from limner.service.clock import Clock, utc_now
from limner.vitals import BREAKER_STATES, BreakerVitals, Vitals, breakers_of, vitals_of_living

PATH: Final = "/metrics"

_MAX_REQUEST_BYTES: Final = 8 * 1024
_MAX_CONNECTIONS: Final = 16
TIMEOUT_S: Final = 10.0
_END: Final = b"\r\n\r\n"


def metrics_page(locks: WorkerLocks, clock: Clock = utc_now) -> bytes:
    """Return the metrics in Prometheus' text format. Blocks."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_Workers(vitals_of_living(locks), clock()))
    return generate_latest(registry)


class _Workers:
    """Collects the metrics of workers. Those of breakers are of all workers together: a worker's id is soon gone."""

    def __init__(self, workers: dict[str, Vitals | None], now: datetime) -> None:
        self._workers = workers
        self._now = now

    def collect(self) -> Iterator[Metric]:
        """Yield the metrics."""
        yield GaugeMetricFamily("limner_workers", "Workers that are alive.", value=len(self._workers))
        yield self._in_flight()
        breakers = breakers_of(self._workers.values())
        yield self._states(breakers)
        yield self._failures(breakers)

    def _in_flight(self) -> Metric:
        gauge = GaugeMetricFamily("limner_tasks_in_flight", "Tasks at work in a worker.", labels=["worker"])
        for worker_id, vitals in self._workers.items():
            if vitals is not None:
                gauge.add_metric([worker_id], vitals.in_flight)
        return gauge

    def _states(self, breakers: dict[tuple[str, str], list[BreakerVitals]]) -> Metric:
        text = "Workers whose circuit breaker for the provider's model is in the state: closed, half-open or open."
        gauge = GaugeMetricFamily("limner_breaker_state", text, labels=["provider", "model", "state"])
        for name, group in breakers.items():
            counts = Counter(each.state(self._now) for each in group)
            for state in BREAKER_STATES:
                gauge.add_metric([*name, state], counts[state])
        return gauge

    def _failures(self, breakers: dict[tuple[str, str], list[BreakerVitals]]) -> Metric:
        text = "Failures in a row of the provider's model, in the worker that saw the most."
        gauge = GaugeMetricFamily("limner_breaker_consecutive_failures", text, labels=["provider", "model"])
        for name, group in breakers.items():
            gauge.add_metric(name, max(each.consecutive_failures for each in group))
        return gauge


class MetricsServer:
    """Answers ``GET /metrics`` with a page, and everything else with 404."""

    def __init__(self, page: Callable[[], bytes], *, timeout_s: float = TIMEOUT_S) -> None:
        """Serve what ``page`` returns, which is called in a thread. ``timeout_s`` bounds a whole connection."""
        self._page = page
        self._timeout_s = timeout_s
        self._turn = asyncio.Lock()
        self._server: asyncio.Server | None = None
        self._answering: dict[asyncio.Task[None], asyncio.StreamWriter] = {}

    async def start(self, host: str, port: int) -> None:
        """Listen. The port may be held by ``PortReservations``."""
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        self._server = await asyncio.start_server(
            self._connected, host, port, family=family, limit=_MAX_REQUEST_BYTES, reuse_port=True
        )

    async def stop(self) -> None:
        """Listen no longer, and cut off who is being answered."""
        if self._server is not None:
            self._server.close()
        for writer in self._answering.values():
            writer.transport.abort()
        if self._answering:
            await asyncio.wait(self._answering)

    def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if len(self._answering) >= _MAX_CONNECTIONS:
            writer.transport.abort()
            return
        task = asyncio.create_task(self._answer(reader, writer), name="metrics")
        self._answering[task] = writer
        task.add_done_callback(self._answering.pop)

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.transport.set_write_buffer_limits(0)  # so that draining waits for all of it
        try:
            async with asyncio.timeout(self._timeout_s):
                writer.write(await self._answer_to(await reader.readuntil(_END)))
                await writer.drain()
                writer.close()
                await writer.wait_closed()
        except (TimeoutError, OSError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
            writer.transport.abort()

    async def _answer_to(self, request: bytes) -> bytes:
        method, _, rest = request.partition(b" ")
        path = rest.partition(b" ")[0].partition(b"?")[0]
        if (method, path) != (b"GET", PATH.encode()):
            return _response(HTTPStatus.NOT_FOUND, f"Metrics are at {PATH}.\n".encode(), "text/plain; charset=utf-8")
        async with self._turn:
            page = await asyncio.to_thread(self._page)
        return _response(HTTPStatus.OK, page, CONTENT_TYPE_PLAIN_0_0_4)


def _response(status: HTTPStatus, body: bytes, content_type: str) -> bytes:
    head = (
        f"HTTP/1.1 {status.value} {status.phrase}",
        f"Content-Type: {content_type}",
        f"Content-Length: {len(body)}",
        "Connection: close",
    )
    return "\r\n".join(head).encode() + _END + body
