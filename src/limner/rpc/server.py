"""The gRPC server: the service, health and reflection behind the interceptors."""

from typing import Final

from grpc import aio
from grpc_health.v1 import health, health_pb2, health_pb2_grpc
from imageservice.v1 import image_service_pb2, image_service_pb2_grpc

from limner.domain import limits
from limner.rpc.credentials import server_credentials
from limner.rpc.interceptors.access_log import AccessLogLayer
from limner.rpc.interceptors.authorisation import MembershipLayer, TokenLayer
from limner.rpc.interceptors.errors import ErrorLayer
from limner.rpc.interceptors.layer import Layers
from limner.rpc.interceptors.receiving import ReceivingLayer
from limner.rpc.interceptors.refusal import RefusalLayer
from limner.rpc.reflection import add_reflection
from limner.rpc.servicer import ImageServicer
from limner.service.ports import TokenVerifier
from limner.tls import TlsFiles

SERVICE_NAME: Final = image_service_pb2.DESCRIPTOR.services_by_name["ImageService"].full_name

_OPTIONS: Final = (
    ("grpc.max_receive_message_length", limits.MAX_MESSAGE_BYTES),
    # A page of 200 images with the longest prompts is larger than any upload.
    ("grpc.max_send_message_length", limits.MAX_STORED_BYTES),
    # Between two limits that differ gRPC refuses at random.
    ("grpc.max_metadata_size", limits.MAX_METADATA_BYTES),
    ("grpc.absolute_max_metadata_size", limits.MAX_METADATA_BYTES),
    ("grpc.so_reuseport", 1),
    # Else gRPC receives up to 16 MiB ahead of a handler that did not ask for it: see ``ReceivingLayer``.
    ("grpc.http2.bdp_probe", 0),
    # A call of five minutes must live through quiet times, and clients may ping to keep it so.
    ("grpc.http2.min_ping_interval_without_data_ms", 10_000),
    ("grpc.keepalive_permit_without_calls", 1),
)


class RpcServer:
    """Answers calls on one or more addresses until it is stopped."""

    def __init__(self, servicer: ImageServicer, verifier: TokenVerifier) -> None:
        layers = Layers(
            [AccessLogLayer(), ErrorLayer(), TokenLayer(verifier)],
            ReceivingLayer(),
            [MembershipLayer(), RefusalLayer()],
        )
        self._server = aio.server(interceptors=[layers], options=_OPTIONS)
        self._health = health.aio.HealthServicer()
        image_service_pb2_grpc.add_ImageServiceServicer_to_server(servicer, self._server)
        health_pb2_grpc.add_HealthServicer_to_server(self._health, self._server)
        add_reflection(self._server, [SERVICE_NAME, health.SERVICE_NAME])

    def listen(self, address: str, tls: TlsFiles | None = None) -> None:
        """Add an address, ``host:port``, before the start. Raises ``OSError`` when it can't be had."""
        try:
            if tls is None:
                bound = self._server.add_insecure_port(address)
            else:
                bound = self._server.add_secure_port(address, server_credentials(tls))
        except RuntimeError as error:
            raise OSError(f"can't listen on {address}") from error
        if bound == 0:
            raise OSError(f"can't listen on {address}")

    async def start(self) -> None:
        """Begin to answer."""
        await self._server.start()
        await self._set_health(health_pb2.HealthCheckResponse.SERVING)

    async def leave(self) -> None:
        """Tell those who ask for its health that it takes no new calls soon; it still answers all."""
        await self._set_health(health_pb2.HealthCheckResponse.NOT_SERVING)

    async def stop(self, grace_s: float) -> None:
        """Refuse new calls, and give the running ones some time to end."""
        await self.leave()
        await self._server.stop(grace_s)

    async def _set_health(self, status: int) -> None:
        for name in ("", SERVICE_NAME):
            await self._health.set(name, status)
