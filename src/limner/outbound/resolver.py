"""Names to public addresses, and nothing else."""

import asyncio
import socket
from collections.abc import Awaitable, Callable
from typing import Final, TypeAlias

from aiohttp.abc import AbstractResolver, ResolveResult

from limner.outbound.hosts import is_public
from limner.service.executor import BoundedExecutor

_THREADS: Final = 16
_QUEUE: Final = 128

Lookup: TypeAlias = Callable[[str, int], Awaitable[list[str]]]
"""Returns the numeric addresses of a name; raises ``OSError``."""


class NotPublicError(OSError):
    """A name leads to an address that is not public."""


async def system_lookup(host: str, port: int) -> list[str]:
    """Ask the system's resolver, in a thread."""
    infos = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return [str(info[4][0]) for info in infos]


class NameLookup:
    """Asks the system's resolver in threads of its own: where a name server is silent, nobody else waits for it."""

    def __init__(self, name: str) -> None:
        self._threads = BoundedExecutor(name, threads=_THREADS, queue=_QUEUE)

    async def __call__(self, host: str, port: int) -> list[str]:
        """Return the numeric addresses of a name; raises ``OSError``."""
        infos = await self._threads.run(socket.getaddrinfo, host, port, type=socket.SOCK_STREAM)
        return [str(info[4][0]) for info in infos]


class PublicResolver(AbstractResolver):
    """Looks a name up once. What it returns is numeric, so what was checked is what is connected to.

    One address of a name that is not public condemns them all.
    """

    def __init__(self, lookup: Lookup = system_lookup, allowed: Callable[[str], bool] = is_public) -> None:
        self._lookup = lookup
        self._allowed = allowed

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> list[ResolveResult]:
        """Return the addresses, or raise ``OSError``: ``NotPublicError`` when it leads inside."""
        addresses = await self._lookup(host, port)
        if not addresses:
            raise OSError("the name has no address")
        if not all(self._allowed(address) for address in addresses):
            raise NotPublicError("the name leads to an address that is not public")
        return [_resolved(host, port, address) for address in addresses]

    async def close(self) -> None:
        """Nothing is held."""


def _resolved(host: str, port: int, address: str) -> ResolveResult:
    return ResolveResult(
        hostname=host,
        host=address,
        port=port,
        family=socket.AF_INET6 if ":" in address else socket.AF_INET,
        proto=0,
        flags=socket.AI_NUMERICHOST | socket.AI_NUMERICSERV,
    )
