"""A workspace of a test's own in a shared service, and clients of its users."""

import secrets
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import httpx
from imageservice.v1 import image_service_pb2_grpc

from limner.service.caller import Role
from tests.service import Service

PREFIXES = ("/v1", "/api/image-service/v1")
Metadata = tuple[tuple[str, str], ...]


class Tenant:
    """A workspace that nobody else knows. Users are members unless it is said otherwise."""

    def __init__(self, service: Service, stub: image_service_pb2_grpc.ImageServiceStub, closing: ExitStack) -> None:
        self.service = service
        self.stub = stub
        self.id = f"workspace-{secrets.token_hex(6)}"
        self._closing = closing

    def rest(self, user: str = "ada", *, prefix: str = "/v1", **rights: Any) -> httpx.Client:
        """A client whose paths begin behind the workspace: ``/images``."""
        url = f"http://{self.service.http_address}{prefix}/workspaces/{self.id}"
        client = httpx.Client(base_url=url, headers=dict(self.metadata(user, **rights)), timeout=60)
        return self._closing.enter_context(client)

    def metadata(self, user: str = "ada", *, role: Role = Role.MEMBER, admin: bool = False) -> Metadata:
        return self.service.metadata(user, workspaces={} if admin else {self.id: role}, admin=admin)

    def url(self, path: str) -> str:
        """The address of a path of the service, such as ``_links.content``."""
        return f"http://{self.service.http_address}{path}"


@contextmanager
def tenant_of(service: Service) -> Iterator[Tenant]:
    """Make a workspace, and close all of its clients in the end."""
    with ExitStack() as closing, service.stub() as stub:
        yield Tenant(service, stub, closing)
