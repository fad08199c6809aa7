"""``limner serve``: the workers and the gateway, started, watched and ended together."""

import asyncio
import logging
import os
import signal
import sys
from collections.abc import Callable, Sequence
from contextlib import AsyncExitStack
from dataclasses import replace
from functools import partial
from typing import Any, Final

from limner.app import Address, Worker, observe, prepare, worker_locks
from limner.auth.address_keys import AddressKeyError
from limner.auth.local_key import LocalKeyError
from limner.catalogue import CatalogueError
from limner.domain.errors import LimnerError
from limner.gateway.options import GatewayOptions
from limner.gateway.process import Gateway, GatewayError
from limner.otel import OtelError
from limner.outbound.hosts import is_loopback
from limner.reservations import PortReservations
from limner.settings import Settings, variable
from limner.webhooks.configuration import WebhooksError
from limner.worker import LOOPBACK, READY, OwnPorts, listening, share_heaps, tune_interpreter

log = logging.getLogger(__name__)

_START_TIMEOUT_S: Final = 30.0
_RESTART_DELAY_S: Final = 0.5
_KILL_AFTER_S: Final = 10.0


class StartError(Exception):
    """The service could not be started; the text says why, for the operator."""


class OwnWorker:
    """The only worker, in this process: a process less to start and to keep in memory."""

    def __init__(self, settings: Settings, ports: OwnPorts) -> None:
        share_heaps()
        self._close_telemetry = observe(settings)
        self._worker = Worker(settings)
        self._addresses = listening(settings, ports)

    async def start(self) -> None:
        """Return when it answers."""
        await self._worker.start(*self._addresses)
        tune_interpreter()

    async def stop(self) -> None:
        """Drain and end it."""
        await self._worker.stop()
        await asyncio.to_thread(self._close_telemetry)


class WorkerProcess:
    """A worker in another process, replaced when it dies."""

    def __init__(self, settings: Settings, ports: OwnPorts) -> None:
        self._settings = settings
        self._ports = ports
        self._process: asyncio.subprocess.Process | None = None
        self._watch: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Return when it answers."""
        await self._spawn()
        self._watch = asyncio.create_task(self._replace_when_dead())

    async def stop(self) -> None:
        """Drain and end it; one that does not end is killed."""
        if self._watch is not None:
            self._watch.cancel()
        if self._process is None or self._process.returncode is not None:
            return
        self._process.terminate()
        try:
            longest_s = self._settings.drain_delay_s + self._settings.drain_timeout_s + _KILL_AFTER_S
            await asyncio.wait_for(self._process.wait(), longest_s)
        except TimeoutError:
            self._process.kill()
            await self._process.wait()

    async def _spawn(self) -> None:
        settings = self._settings
        environment = {
            **os.environ,
            variable("data_dir"): str(settings.data_dir),
            variable("host"): settings.host,
            variable("grpc_port"): str(settings.grpc_port),
            **({} if settings.metrics_port is None else {variable("metrics_port"): str(settings.metrics_port)}),
        }
        if settings.web_port is not None:
            environment[variable("web_port")] = str(settings.web_port)
        command = (sys.executable, "-m", "limner.worker", *map(str, self._ports))
        pipe = asyncio.subprocess.PIPE
        self._process = await asyncio.create_subprocess_exec(*command, stdin=pipe, stdout=pipe, env=environment)
        assert self._process.stdout is not None
        line = await asyncio.wait_for(self._process.stdout.readline(), _START_TIMEOUT_S)
        if line.decode().strip() != READY:
            raise StartError("a worker did not start; its last lines above say why")

    async def _replace_when_dead(self) -> None:
        while True:
            assert self._process is not None
            code = await self._process.wait()
            log.error("a worker died and is replaced", extra={"exit_code": code})
            await asyncio.sleep(_RESTART_DELAY_S)
            try:
                await self._spawn()
            except (StartError, TimeoutError, OSError) as error:
                log.error("a worker could not be replaced, and is tried again", extra={"why": str(error)})
                if self._process.returncode is None:
                    self._process.kill()


async def serve(settings: Settings, *, with_gateway: bool, announce: Callable[[str], None]) -> None:
    """Run the service until SIGTERM or SIGINT, then drain it. Raises ``StartError``.

    ``announce`` gets the one line that tells the addresses, when all of them answer.
    """
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    reservations = PortReservations()
    try:
        settings = replace(settings, grpc_port=reservations.reserve(settings.host, settings.grpc_port))
        if settings.web_port is not None:
            settings = replace(settings, web_port=reservations.reserve(settings.host, settings.web_port))
        await _serve(settings, with_gateway, announce, stop, reservations)
    except (
        AddressKeyError,
        CatalogueError,
        GatewayError,
        LimnerError,
        LocalKeyError,
        OSError,
        OtelError,
        WebhooksError,
    ) as error:
        raise StartError(str(error)) from error
    finally:
        reservations.release()


async def _serve(
    settings: Settings,
    with_gateway: bool,
    announce: Callable[[str], None],
    stop: asyncio.Event,
    reservations: PortReservations,
) -> None:
    own_ports = [
        OwnPorts(grpc=reservations.reserve(LOOPBACK), web=reservations.reserve(LOOPBACK))
        for _ in range(settings.workers)
    ]
    async with AsyncExitStack() as ending:
        gateway = Gateway(gateway_options(settings, own_ports)) if with_gateway else None
        starting: list[asyncio.Task[None]] = []
        if settings.metrics_port is not None:
            await _start_metrics(settings, reservations.reserve(settings.host, settings.metrics_port), ending)
        try:
            if gateway is not None:
                ending.push_async_callback(gateway.stop)
                starting.append(asyncio.create_task(gateway.start()))
            # Envoy takes its time, so the database is prepared meanwhile.
            await asyncio.to_thread(prepare, settings)
            workers = _workers(settings, own_ports)
            ending.push_async_callback(_stop_all, workers)
            starting += [asyncio.create_task(worker.start()) for worker in workers]
            await asyncio.gather(*starting)
        except BaseException:
            await _abandon(starting)
            raise
        if settings.tls is None and not is_loopback(settings.host):
            log.warning("tokens and pictures go over the network in the clear, unless something before this does TLS")
        if gateway is not None:
            ending.push_async_callback(gateway.leave)  # comes first in the end, before the workers drain
        address = Address(settings.host, settings.grpc_port)
        announce(f"ready grpc={address}" + (f" http={gateway.address}" if gateway else ""))
        await _until_stopped(stop, gateway)


async def _start_metrics(settings: Settings, port: int, ending: AsyncExitStack) -> None:
    # Imported when chosen: the library takes its time and memory.
    from limner.metrics import recorder

    # Before the library is imported; and none of this data directory's workers may be counting.
    recorder.prepare(settings.data_dir, anew=not worker_locks(settings).living())
    from limner.metrics.page import metrics_page
    from limner.metrics.server import MetricsServer

    server = MetricsServer(partial(metrics_page, settings.data_dir))
    await server.start(settings.host, port)
    ending.push_async_callback(server.stop)
    log.info("metrics are served", extra={"address": f"http://{Address(settings.host, port)}/metrics"})


async def _stop_all(workers: "Sequence[OwnWorker | WorkerProcess]") -> None:
    """Drain all at once, within one deadline."""
    await asyncio.gather(*(worker.stop() for worker in workers))


async def _abandon(starting: Sequence[asyncio.Task[None]]) -> None:
    """End what is still starting, and take note of what else went wrong: the first fault is the one that is told."""
    for task in starting:
        task.cancel()
    await asyncio.gather(*starting, return_exceptions=True)


async def _until_stopped(stop: asyncio.Event, gateway: Gateway | None) -> None:
    """Return when it is time to end; raise ``GatewayError`` when Envoy can't be kept alive."""
    watched: list[asyncio.Task[Any]] = [asyncio.create_task(stop.wait())]
    if gateway is not None:
        watched.append(asyncio.create_task(gateway.wait()))
    done, pending = await asyncio.wait(watched, return_when=asyncio.FIRST_COMPLETED)
    for task in pending:
        task.cancel()
    for task in done:
        task.result()


def _workers(settings: Settings, own_ports: Sequence[OwnPorts]) -> Sequence[OwnWorker | WorkerProcess]:
    if len(own_ports) > 1:
        return [WorkerProcess(settings, ports) for ports in own_ports]
    return [OwnWorker(settings, own_ports[0])]


def gateway_options(settings: Settings, own_ports: Sequence[OwnPorts]) -> GatewayOptions:
    """Return how the gateway is set up in front of workers on this machine."""
    return GatewayOptions(
        host=settings.host,
        port=settings.http_port,
        upstreams=[str(Address(LOOPBACK, ports.grpc)) for ports in own_ports],
        web_upstreams=[str(Address(LOOPBACK, ports.web)) for ports in own_ports],
        silence_timeout_s=settings.request_timeout_s,
        cors_origins=settings.cors_origins,
        tls=settings.tls,
    )
