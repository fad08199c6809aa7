"""Ports for servers that must be told theirs."""

import random
import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress


@contextmanager
def held_port() -> Iterator[int]:
    """Yield a port of loopback that nobody else gets meanwhile, whether its server runs or not.

    It is bound and never listens: connections are refused, while a server that sets ``SO_REUSEADDR`` may take it.
    """
    with socket.socket() as holder:
        holder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        holder.bind(("127.0.0.1", 0))
        yield holder.getsockname()[1]


def quiet_port() -> int:
    """Return a port of loopback that is free, and that nobody is given who asks for any: it may be closed meanwhile.

    Those whom the system gives out by itself begin at 32,768 on Linux.
    """
    while True:
        port = random.randint(20_000, 32_000)
        with socket.socket() as looking, suppress(OSError):
            looking.bind(("127.0.0.1", port))
            return port
