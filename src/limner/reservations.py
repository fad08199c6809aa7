"""TCP ports, held from when they are chosen until the service ends, so that nobody else gets them."""

import socket
from contextlib import ExitStack


class PortReservations:
    """Ports that are bound here and listened on elsewhere, all with ``SO_REUSEPORT``.

    A socket that is bound and never listens takes no connections: it only keeps other users' programs off
    the port, and lets a worker that died be replaced at the same address.
    """

    def __init__(self) -> None:
        self._sockets = ExitStack()

    def reserve(self, host: str, port: int = 0) -> int:
        """Hold a port of the host and return it, a free one for 0. Raises ``OSError`` when it is taken."""
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        holder = self._sockets.enter_context(socket.socket(family, socket.SOCK_STREAM))
        if _somebody_listens(host, port, family):
            raise OSError(f"port {port} of {host} is in use")
        holder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        holder.bind((host, port))
        reserved: int = holder.getsockname()[1]
        return reserved

    def release(self) -> None:
        """Let all ports go."""
        self._sockets.close()


def _somebody_listens(host: str, port: int, family: socket.AddressFamily) -> bool:
    """Tell whether the port is taken: with ``SO_REUSEPORT`` we would share it with another service of ours."""
    if port == 0:
        return False
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError:
            return True
    return False
