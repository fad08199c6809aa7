"""Server reflection in both versions, so that any grpcurl works."""

import grpc
from grpc import aio
from grpc_reflection.v1alpha import reflection_pb2
from grpc_reflection.v1alpha.reflection import aio as reflection_aio

_V1 = "grpc.reflection.v1.ServerReflection"
_V1_ALPHA = "grpc.reflection.v1alpha.ServerReflection"


def add_reflection(server: aio.Server, service_names: list[str]) -> None:
    """Serve the descriptors of the named services. Version 1 has the messages of v1alpha, under a new name."""
    servicer = reflection_aio.ReflectionServicer([*service_names, _V1, _V1_ALPHA])
    handler = grpc.stream_stream_rpc_method_handler(
        servicer.ServerReflectionInfo,
        request_deserializer=reflection_pb2.ServerReflectionRequest.FromString,
        response_serializer=reflection_pb2.ServerReflectionResponse.SerializeToString,
    )
    for name in (_V1, _V1_ALPHA):
        server.add_registered_method_handlers(name, {"ServerReflectionInfo": handler})
        server.add_generic_rpc_handlers(
            (grpc.method_handlers_generic_handler(name, {"ServerReflectionInfo": handler}),)
        )
