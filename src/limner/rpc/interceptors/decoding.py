"""Lets a request that is no message of its type through to where it is refused as any wrong request is."""

from collections.abc import Awaitable, Callable
from typing import Any, TypeAlias

import grpc
from google.protobuf.message import DecodeError
from grpc import aio

Handler: TypeAlias = Any
"""A ``grpc.RpcMethodHandler``, which is a named tuple though its stub does not say so."""


class Undecodable:
    """What takes the place of a request whose bytes can't be read."""


class LenientDecoding(aio.ServerInterceptor):
    """Hands on ``Undecodable`` where gRPC would answer UNKNOWN, with the parser's words, around all interceptors."""

    async def intercept_service(
        self,
        continuation: Callable[[grpc.HandlerCallDetails], Awaitable[Handler]],
        handler_call_details: grpc.HandlerCallDetails,
    ) -> Handler:
        """Return the handler, with another way to read its request."""
        handler = await continuation(handler_call_details)
        if handler is None or handler.request_streaming or handler.request_deserializer is None:
            return handler
        return handler._replace(request_deserializer=_lenient(handler.request_deserializer))


def _lenient(decode: Callable[[bytes], Any]) -> Callable[[bytes], Any]:
    def decoded(data: bytes) -> Any:
        try:
            return decode(data)
        except DecodeError:
            return Undecodable()

    return decoded
