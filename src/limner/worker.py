"""A worker in a process of its own: ``python -m limner.worker GRPC_PORT WEB_PORT``, started by ``limner serve``.

Its settings come by the environment. It says ``ready`` on standard output, and drains on SIGTERM or when its
standard input ends, which it does when the parent dies, however it dies.
"""

import asyncio
import ctypes
import gc
import signal
import sys
from contextlib import suppress
from typing import Final, NamedTuple

from limner.app import Address, Worker, observe
from limner.settings import Settings
from limner.telemetry import logging_to_stderr

READY: Final = "ready"
LOOPBACK: Final = "127.0.0.1"
_M_ARENA_MAX: Final = -8  # malloc.h of glibc


class OwnPorts(NamedTuple):
    """Where the gateway reaches one worker, on loopback."""

    grpc: int
    web: int


async def run(settings: Settings, ports: OwnPorts) -> None:
    """Serve on the common addresses and on those of the worker's own, until it is time to end."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches all processes of a terminal; the parent decides.
    loop.add_signal_handler(signal.SIGTERM, stop.set)
    loop.add_reader(sys.stdin.fileno(), stop.set)
    share_heaps()
    close_telemetry = observe(settings)
    worker = Worker(settings)
    await worker.start(*listening(settings, ports))
    sys.stdout.write(f"{READY}\n")
    sys.stdout.flush()
    tune_interpreter()
    await stop.wait()
    loop.remove_reader(sys.stdin.fileno())
    await worker.stop()
    await asyncio.to_thread(close_telemetry)


def listening(settings: Settings, ports: OwnPorts) -> tuple[list[Address], list[Address]]:
    """Return the addresses of gRPC and of HTTP: those that all workers share, and the worker's own for the gateway."""
    grpc = [Address(settings.host, settings.grpc_port), Address(LOOPBACK, ports.grpc, private=True)]
    web = [Address(LOOPBACK, ports.web, private=True)]
    if settings.web_port is not None:
        web.append(Address(settings.host, settings.web_port))
    return grpc, web


def share_heaps() -> None:
    """Let all threads share two of glibc's heaps, before there are many of them.

    Each thread would get one of its own, and each keeps what it once needed: 100 MiB more after many large uploads.
    """
    with suppress(AttributeError):  # another C library
        ctypes.CDLL(None).mallopt(_M_ARENA_MAX, 2)


def tune_interpreter() -> None:
    """Keep the event loop and the threads beside it from waiting for each other for long.

    What was imported is kept out of later garbage collections, whose full passes would stall the loop. And a thread
    gets the interpreter from a busy one after half a millisecond instead of five: the database's needs it for
    microseconds at a time.
    """
    sys.setswitchinterval(0.0005)
    gc.collect()
    gc.freeze()
    gc.set_threshold(10_000, 20, 50)


def main() -> None:
    """Run until the end."""
    settings = Settings.read()
    with logging_to_stderr(settings.log_level):
        asyncio.run(run(settings, OwnPorts(*map(int, sys.argv[1:]))))


if __name__ == "__main__":
    main()
