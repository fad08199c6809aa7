"""Uploads that come to nothing: what they leave behind of the machine's memory."""

import itertools
import socket
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import grpc
import httpx
import psutil
import pytest
from google.api.httpbody_pb2 import HttpBody
from grpc import StatusCode
from imageservice.v1 import image_service_pb2 as pb

from limner.domain.limits import MAX_UPLOAD_BYTES, MIB
from tests.http2 import HalfSent
from tests.pictures import chunk, png
from tests.service import Service, running_service
from tests.tenant import Tenant, tenant_of

UPLOADS = 200
FIRST_UPLOADS = 28
"""After which the heaps have their size."""
AT_ONCE = 4
PNG = {"content-type": "image/png"}
LEFT_BYTES = 100 * MIB
UPLOAD = "/imageservice.v1.ImageService/UploadImage"
PICTURE = png(after=chunk(b"prVt", bytes(MAX_UPLOAD_BYTES - len(png()) - 12)))
DAMAGED = bytearray(PICTURE)
DAMAGED[len(png()) - 20] ^= 0xFF


@pytest.fixture(scope="module")
def service() -> Iterator[Service]:
    """A service of our own, whose memory nobody else uses."""
    with TemporaryDirectory() as folder, running_service(Path(folder)) as service:
        yield service


@pytest.fixture
def tenant(service: Service) -> Iterator[Tenant]:
    with tenant_of(service) as tenant:
        yield tenant


def resident_bytes(service: Service) -> int:
    """What all processes of the service take together."""
    root = psutil.Process(service.process.pid)
    return sum(each.memory_info().rss for each in (root, *root.children(recursive=True)))


class OverGrpc:
    """Uploads over gRPC, each of which comes to nothing in its own way."""

    def __init__(self, tenant: Tenant, channel: grpc.Channel) -> None:
        self._tenant = tenant
        self._upload: Any = channel.unary_unary(UPLOAD)
        self._whole = message(tenant.id, PICTURE)
        self._damaged = message(tenant.id, bytes(DAMAGED))
        self._abroad = message("of-others", PICTURE)
        self._too_large = message(tenant.id, PICTURE + bytes(1024))
        self._far_too_large = message(tenant.id, PICTURE + bytes(2 * MIB))
        self._deadlines_s = itertools.cycle(number / 200 for number in range(1, 20))
        self.ways: tuple[Callable[[], None], ...] = (
            self.without_a_token,
            self.into_another_workspace,
            self.damaged,
            self.too_large,
            self.far_too_large,
            self.late,
            self.hung_up,
        )

    def without_a_token(self) -> None:
        assert self._code(self._whole, metadata=()) is StatusCode.UNAUTHENTICATED

    def into_another_workspace(self) -> None:
        assert self._code(self._abroad) is StatusCode.PERMISSION_DENIED

    def damaged(self) -> None:
        assert self._code(self._damaged) is StatusCode.INVALID_ARGUMENT

    def too_large(self) -> None:
        assert self._code(self._too_large) is StatusCode.INVALID_ARGUMENT

    def far_too_large(self) -> None:
        """Larger than any message."""
        assert self._code(self._far_too_large) is StatusCode.RESOURCE_EXHAUSTED

    def late(self) -> None:
        """A deadline that ends it wherever it is."""
        assert self._code(self._damaged, timeout=next(self._deadlines_s)) is not StatusCode.OK

    def hung_up(self) -> None:
        headers = [(":method", "POST"), (":scheme", "http"), (":path", UPLOAD), (":authority", "limner")]
        headers += [("content-type", "application/grpc"), ("te", "trailers"), *self._tenant.metadata()]
        call = HalfSent(self._tenant.service.grpc_address, headers)
        call.send(b"\0" + len(self._whole).to_bytes(4) + self._whole[: MAX_UPLOAD_BYTES // 2])
        call.hang_up()

    def _code(self, data: bytes, *, metadata: Any = None, timeout: float = 60) -> StatusCode:
        metadata = self._tenant.metadata() if metadata is None else metadata
        try:
            self._upload(data, metadata=metadata, timeout=timeout)
        except grpc.RpcError as error:
            code: StatusCode = error.code()
            return code
        return StatusCode.OK


class OverRest:
    """Uploads through the gateway, each of which comes to nothing in its own way."""

    def __init__(self, tenant: Tenant) -> None:
        self._tenant = tenant
        self._client = tenant.rest()
        self._stranger = httpx.Client(base_url=self._client.base_url, timeout=60)
        self.ways: tuple[Callable[[], None], ...] = (
            self.without_a_token,
            self.into_another_workspace,
            self.damaged,
            self.too_large,
            self.late,
            self.hung_up,
        )

    def without_a_token(self) -> None:
        assert self._status(self._stranger, PICTURE) == 401

    def into_another_workspace(self) -> None:
        assert self._status(self._client, PICTURE, self._tenant.url("/v1/workspaces/of-others/images")) == 403

    def damaged(self) -> None:
        assert self._status(self._client, bytes(DAMAGED)) == 400

    def too_large(self) -> None:
        assert self._status(self._client, PICTURE + bytes(1024)) in (400, 413)

    def late(self) -> None:
        """The client leaves while the service has all of it."""
        with suppress(httpx.TimeoutException):
            self._client.post("/images", content=bytes(DAMAGED), headers=PNG, timeout=httpx.Timeout(60, read=0.02))

    def hung_up(self) -> None:
        host, _, port = self._tenant.service.http_address.rpartition(":")
        token = dict(self._tenant.metadata())["authorization"]
        head = f"POST /v1/workspaces/{self._tenant.id}/images HTTP/1.1\r\nhost: limner\r\nauthorization: {token}\r\n"
        head += f"content-type: image/png\r\ncontent-length: {len(PICTURE)}\r\n\r\n"
        with socket.create_connection((host, int(port)), timeout=60) as connection:
            connection.sendall(head.encode() + PICTURE[: MAX_UPLOAD_BYTES // 2])

    def _status(self, client: httpx.Client, data: bytes, url: str = "/images") -> int:
        return client.post(url, content=data, headers=PNG).status_code


def message(workspace_id: str, data: bytes) -> bytes:
    return pb.UploadImageRequest(workspace_id=workspace_id, picture=HttpBody(data=data)).SerializeToString()


def left_by(service: Service, ways: Sequence[Callable[[], None]]) -> int:
    """Upload in all ways, again and again, and return by how many bytes the service has grown since the first few."""
    with ThreadPoolExecutor(AT_ONCE) as callers:

        def upload(count: int) -> None:
            for done in [callers.submit(way) for way in itertools.islice(itertools.cycle(ways), count)]:
                done.result()

        upload(FIRST_UPLOADS)
        before = resident_bytes(service)
        upload(UPLOADS)
        return resident_bytes(service) - before


@pytest.mark.timeout(300)
def test_refused_and_cancelled_uploads_over_grpc_leave_nothing_behind(
    service: Service, tenant: Tenant, tell: Callable[[str], None]
) -> None:
    options = [("grpc.max_send_message_length", -1)]
    with grpc.insecure_channel(service.grpc_address, options=options) as channel:
        left = left_by(service, OverGrpc(tenant, channel).ways)
    tell(f"{left / MIB:.0f} MiB more after {UPLOADS} uploads")
    assert left < LEFT_BYTES


@pytest.mark.timeout(300)
def test_refused_and_cancelled_uploads_over_rest_leave_nothing_behind(
    service: Service, tenant: Tenant, tell: Callable[[str], None]
) -> None:
    left = left_by(service, OverRest(tenant).ways)
    tell(f"{left / MIB:.0f} MiB more after {UPLOADS} uploads")
    assert left < LEFT_BYTES
