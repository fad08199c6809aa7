"""Server reflection in both versions, so that any grpcurl works."""

from typing import Any, Final

import grpc
from google.protobuf import descriptor_pool
from google.protobuf.descriptor import Descriptor, FileDescriptor
from google.protobuf.descriptor_pb2 import DescriptorProto, FileDescriptorProto
from grpc import aio
from grpc_reflection.v1alpha import reflection_pb2
from grpc_reflection.v1alpha.reflection import aio as reflection_aio
from imageservice.v1 import error_reason_pb2

ALSO_DESCRIBED: Final = error_reason_pb2.DESCRIPTOR
"""No message refers to it, so only its import makes it known."""

_V1 = "grpc.reflection.v1.ServerReflection"
_V1_ALPHA = "grpc.reflection.v1alpha.ServerReflection"


class _File:
    """A file whose fields carry their JSON names, so that grpcurl prints what REST does: stubs leave them out."""

    def __init__(self, file: FileDescriptor) -> None:
        self._file = file

    @property
    def name(self) -> str:
        return self._file.name

    @property
    def dependencies(self) -> list["_File"]:
        return [_File(each) for each in self._file.dependencies]

    def CopyToProto(self, proto: FileDescriptorProto) -> None:  # noqa: N802
        self._file.CopyToProto(proto)
        for message in proto.message_type:
            _name_fields(message, self._file.message_types_by_name[message.name])


def _name_fields(proto: DescriptorProto, message: Descriptor) -> None:
    for field in proto.field:
        field.json_name = message.fields_by_name[field.name].json_name
    for nested in proto.nested_type:
        _name_fields(nested, message.nested_types_by_name[nested.name])


class _Symbols:
    """The descriptors of this process, where a method or a field is found too: in the file of what it belongs to."""

    def __init__(self) -> None:
        self._pool = descriptor_pool.Default()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._pool, name)

    def FindFileByName(self, name: str) -> _File:  # noqa: N802
        return _File(self._pool.FindFileByName(name))

    def FindFileContainingSymbol(self, symbol: str) -> _File:  # noqa: N802
        try:
            return _File(self._pool.FindFileContainingSymbol(symbol))
        except KeyError:
            return _File(self._pool.FindFileContainingSymbol(symbol.rpartition(".")[0]))


def add_reflection(server: aio.Server, service_names: list[str]) -> None:
    """Serve the descriptors of the named services. Version 1 has the messages of v1alpha, under a new name."""
    servicer = reflection_aio.ReflectionServicer([*service_names, _V1, _V1_ALPHA], _Symbols())
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
