"""Ports for servers that must be told theirs."""

import socket
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def held_port() -> Iterator[int]:
    """Yield a port of loopback that nobody else gets meanwhile, whether its server runs or not.

    It is bound and never listens: connections are refused, while a server that sets ``SO_REUSEADDR`` may take it.
    """
    with socket.socket() as holder:
        holder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        holder.bind(("127.0.0.1", 0))
        yield holder.getsockname()[1]
