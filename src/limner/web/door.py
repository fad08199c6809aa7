"""What a door is: some routes, each under a policy, and how its errors look."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Final, TypeAlias

from aiohttp import web

from limner.domain.limits import MIB
from limner.web.errors import ErrorPage, json_error

Handler: TypeAlias = Callable[[web.Request], Awaitable[web.StreamResponse]]

MAX_JSON_BYTES: Final = MIB


@dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    """One address. Its handler is asked when the caller may ask, and before any of the body is read."""

    method: str
    """``GET`` stands for ``HEAD`` too."""
    path: str
    """With its parameters in braces; the workspace's is called ``workspaceId``. ``/v1/`` has the other prefix too."""
    policy: str
    """Whose policy holds, by its name in ``rpc.policies``: that of the call which the route stands for."""
    answer: Handler
    max_body_bytes: int = MAX_JSON_BYTES
    logged: bool = True
    """Whether each request has a line in the log: not those that only ask whether one is there."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Door:
    """A way into the service for one kind of client. It translates, and decides nothing."""

    routes: Sequence[Route]
    error: ErrorPage = json_error
    """Writes an error as this door's clients expect it."""
