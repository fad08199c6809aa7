"""Names to addresses, without holding up anything else."""

import socket
from typing import Final

from limner.service.executor import BoundedExecutor

_THREADS: Final = 16
_QUEUE: Final = 128


class NameLookup:
    """Asks the system's resolver in threads of its own: where a name server is silent, only webhooks wait for it."""

    def __init__(self) -> None:
        self._threads = BoundedExecutor("webhook-names", threads=_THREADS, queue=_QUEUE)

    async def __call__(self, host: str, port: int) -> list[str]:
        """Return the numeric addresses of a name; raises ``OSError``."""
        infos = await self._threads.run(socket.getaddrinfo, host, port, type=socket.SOCK_STREAM)
        return [str(info[4][0]) for info in infos]
