"""Whether the process lives, and whether it can do its work: for those who run it."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from typing import Final

from aiohttp import web

from limner.domain.errors import LimnerError
from limner.web.door import Door, Route

POLICY: Final = "probes"
FRESH_S: Final = 2.0
"""How long an answer is repeated: probes come often, and a look at the storage writes to it."""

TIMEOUT_S: Final = 5.0

Check = Callable[[], Awaitable[None]]
"""Returns when a part of the service answers; else raises."""


class Readiness:
    """Whether all parts answer. One look serves all who ask meanwhile and shortly afterwards."""

    def __init__(
        self, checks: Sequence[tuple[str, Check]], *, fresh_s: float = FRESH_S, timeout_s: float = TIMEOUT_S
    ) -> None:
        """``checks`` are called by the name of their part."""
        self._checks = checks
        self._fresh_s = fresh_s
        self._timeout_s = timeout_s
        self._looking: asyncio.Task[tuple[str, ...]] | None = None
        self._looked_at = float("-inf")

    async def missing(self) -> tuple[str, ...]:
        """Return the names of the parts that do not answer."""
        if self._looking is None or (self._looking.done() and time.monotonic() - self._looked_at > self._fresh_s):
            self._looking = asyncio.create_task(self._look(), name="readiness")
        return await asyncio.shield(self._looking)

    async def _look(self) -> tuple[str, ...]:
        answers = await asyncio.gather(*(self._answers(check) for _, check in self._checks))
        self._looked_at = time.monotonic()
        return tuple(name for (name, _), answer in zip(self._checks, answers, strict=True) if not answer)

    async def _answers(self, check: Check) -> bool:
        try:
            async with asyncio.timeout(self._timeout_s):
                await check()
        except (LimnerError, TimeoutError):
            return False
        return True


def probes(readiness: Readiness, is_draining: Callable[[], bool]) -> Door:
    """Return the door. What comes through the gateway shows by itself that the gateway answers."""

    async def lives(request: web.Request) -> web.Response:
        return _plain(200, "ok")

    async def is_ready(request: web.Request) -> web.Response:
        if is_draining():
            return _plain(503, "draining")
        missing = await readiness.missing()
        return _plain(503, f"no answer from: {', '.join(missing)}") if missing else _plain(200, "ok")

    return Door(
        routes=(
            Route(method="GET", path="/healthz", policy=POLICY, answer=lives, logged=False),
            Route(method="GET", path="/readyz", policy=POLICY, answer=is_ready, logged=False),
        )
    )


def _plain(status: int, text: str) -> web.Response:
    return web.Response(status=status, text=f"{text}\n", headers={"cache-control": "no-store"})
