"""What runs in the process of a worker. What it needs is imported before the environment is known."""

import asyncio
import os
import signal
from collections.abc import Mapping
from datetime import datetime, timedelta
from multiprocessing.connection import Connection
from pathlib import Path

from limner.app import Address, Worker, prepare
from limner.service.clock import SharedClock, utc_now
from limner.service.tasks import Pace
from limner.settings import Settings
from limner.telemetry import logging_to_stderr
from tests.purchase.billed import models_of

CLOCK = "clock"
"""The file in a worker's data folder that says by how many seconds the clock of its machine is wrong."""
BEAT_S = 1.0
"""From one look after leases to the next: shorter than in earnest, so that tests need not wait for it."""
PATIENCE = "TEST_PATIENCE_S"
"""The variable that says for how many seconds callers wait for what does not end; as in earnest without it."""
TIME = "time"
"""The file in a worker's data folder that says how many seconds went by without anybody waiting for them."""


def seconds(file: Path) -> timedelta:
    """Return what such a file says now."""
    try:
        return timedelta(seconds=float(file.read_text()))
    except FileNotFoundError:
        return timedelta()


def serve(environment: Mapping[str, str], port: int, provider_url: str, log: str, ready: Connection) -> None:
    """Run a worker until SIGTERM; tells on ``ready`` that it answers.

    Its models buy at ``provider_url``; without one they are those of the catalogue.
    """
    for name in [name for name in os.environ if name.startswith(("LIMNER_", "STORAGE_"))]:
        del os.environ[name]
    os.environ.update(environment)
    with Path(log).open("a") as file:
        os.dup2(file.fileno(), 2)
    asyncio.run(_serve(port, provider_url, ready))


async def _serve(port: int, provider_url: str, ready: Connection) -> None:
    class MovedClock(SharedClock):
        def __call__(self) -> datetime:
            return super().__call__() + seconds(settings.data_dir / TIME)

    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    settings = Settings.read()
    with logging_to_stderr(settings.log_level):
        prepare(settings)
        models = models_of(provider_url) if provider_url else None
        clock = MovedClock(lambda: utc_now() + seconds(settings.data_dir / CLOCK))
        patience_s = float(os.environ.get(PATIENCE, Pace().patience_s))
        pace = Pace(heartbeat_s=BEAT_S, cancel_check_s=0.2, patience_s=patience_s)
        worker = Worker(settings, models, clock=clock, pace=pace)
        await worker.start([Address(settings.host, port)])
        ready.send("ready")
        await stop.wait()
        await worker.stop()
