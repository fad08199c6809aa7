"""The worker's HTTP listener: all doors on one server, behind Envoy."""

from collections.abc import Iterable, Sequence
from typing import Final

from aiohttp import web

from limner.domain.limits import KIB, MIB
from limner.service.ports import TokenVerifier
from limner.web.door import Door, Route
from limner.web.passage import Passage
from limner.web.probes import POLICY

PREFIXES: Final = ("/v1/", "/api/image-service/v1/")

ACCEPTING: Final = "/-/accepting"
"""Tells the gateway, which does not lead to it, whether this worker takes requests."""

ADMISSION: Final = "/-/admission"
"""Stands before the path of a call. The call's own check comes as well, when it is made."""

UPLOAD: Final = "/imageservice.v1.ImageService/UploadImage"
"""Every call that has a large body asks of its caller what this one does."""

_MAX_HEAD_BYTES: Final = 128 * KIB
"""Above what Envoy passes on, so that all that is too large is refused in JSON, in ``passage.py``."""

_BACKLOG: Final = 1024


class WebServer:
    """Answers HTTP on one or more addresses until it is stopped."""

    def __init__(self, doors: Iterable[Door], verifier: TokenVerifier, *, drain_timeout_s: float) -> None:
        self._draining = False
        self._runner = web.AppRunner(
            self._application(doors, Passage(verifier, self.is_draining)),
            access_log=None,
            handler_cancellation=True,
            shutdown_timeout=drain_timeout_s,
            max_line_size=_MAX_HEAD_BYTES,
            max_field_size=_MAX_HEAD_BYTES,
        )

    def is_draining(self) -> bool:
        """Tell whether new requests should go elsewhere."""
        return self._draining

    @property
    def addresses(self) -> list[tuple[str, int]]:
        """Where it listens."""
        return [(address[0], address[1]) for address in self._runner.addresses]

    async def start(self, addresses: Sequence[tuple[str, int]]) -> None:
        """Listen on all addresses, which other processes may share. Raises ``OSError``."""
        await self._runner.setup()
        for host, port in addresses:
            await web.TCPSite(self._runner, host, port, reuse_port=True, backlog=_BACKLOG).start()

    def drain(self) -> None:
        """Ask for no more requests: readiness is over, and connections are closed after their answers."""
        self._draining = True

    async def stop(self) -> None:
        """Take no more connections, and give the running requests some time to end."""
        self.drain()
        await self._runner.cleanup()

    def _application(self, doors: Iterable[Door], passage: Passage) -> web.Application:
        application = web.Application(client_max_size=MIB)
        application.on_response_prepare.append(passage.begin_response)
        accepting = Route(method="GET", path=ACCEPTING, policy=POLICY, answer=self._accepting, logged=False)
        for door in (Door(routes=(accepting, *_admissions())), *doors):
            for route in door.routes:
                handler = passage.to(route, door)
                for path in _paths(route):
                    application.router.add_route(route.method, path, handler)
                    if route.method == "GET":
                        application.router.add_route("HEAD", path, handler)
        application.router.add_route("*", "/{anything:.*}", passage.to_nowhere())
        return application

    async def _accepting(self, request: web.Request) -> web.Response:
        return web.Response(status=503 if self._draining else 200)


def _admissions() -> list[Route]:
    """Return where the gateway asks, before it keeps the body of a call, whether its caller may make it."""

    async def admitted(request: web.Request) -> web.Response:
        return web.Response()

    paths = [f"{ADMISSION}{prefix}workspaces/{{workspaceId}}/{{call:.*}}" for prefix in PREFIXES]
    return [Route(method="POST", path=path, policy=UPLOAD, answer=admitted, logged=False) for path in paths]


def _paths(route: Route) -> list[str]:
    first = PREFIXES[0]
    if not route.path.startswith(first):
        return [route.path]
    return [prefix + route.path.removeprefix(first) for prefix in PREFIXES]
