"""How the layers come around a handler: once per method, and alike for calls with one answer and with many."""

import inspect
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from contextlib import aclosing
from typing import Any, Final, Protocol, TypeAlias

import grpc
from grpc import aio

from limner.rpc.call import Context, current_call
from limner.rpc.interceptors.decoding import lenient

Handler: TypeAlias = Any
"""A ``grpc.RpcMethodHandler``, which is a named tuple though its stub does not say so."""

Answer: TypeAlias = Callable[[Any, Context], Awaitable[Any]]
"""Answers a request: returns the message, or writes the messages of a stream to the context."""

_KINDS: Final = ("unary_unary", "unary_stream", "stream_unary", "stream_stream")


class Layer(Protocol):
    """What every call passes on its way to the handler, and again on its way back."""

    def around(self, answer: Answer, method: str) -> Answer:
        """Return what passes calls on to ``answer``. ``method`` is its full name, ``/package.Service/Call``."""


class Layers(aio.ServerInterceptor):
    """Puts the layers, which are given from the outside in, around each method's handler when it is first called."""

    def __init__(self, layers: Sequence[Layer]) -> None:
        self._layers = layers
        self._handlers: dict[str, Handler] = {}

    async def intercept_service(
        self,
        continuation: Callable[[grpc.HandlerCallDetails], Awaitable[Handler]],
        handler_call_details: grpc.HandlerCallDetails,
    ) -> Handler:
        """Return the handler within the layers, or None where there is no such method."""
        method = handler_call_details.method
        if method not in self._handlers:
            handler = await continuation(handler_call_details)
            if handler is None:
                return None
            self._handlers[method] = self._around(handler, method)
        return self._handlers[method]

    def _around(self, handler: Handler, method: str) -> Handler:
        kind = next(kind for kind in _KINDS if getattr(handler, kind))
        answer = _answer(getattr(handler, kind), streams=handler.response_streaming)
        for layer in reversed(self._layers):
            answer = layer.around(answer, method)
        decode = handler.request_deserializer
        if decode and not handler.request_streaming:
            decode = lenient(decode)
        return handler._replace(**{kind: answer, "request_deserializer": decode})


def _answer(method: Callable[..., Any], *, streams: bool) -> Answer:
    if inspect.isasyncgenfunction(method):
        return _written(method)
    # A stream that is no generator writes its messages by itself.
    return method if streams else _returned(method)


def _returned(method: Answer) -> Answer:
    async def answer(request: Any, context: Context) -> Any:
        message = await method(request, context)
        await context.send_initial_metadata(current_call().headers)
        return message

    return answer


def _written(method: Callable[[Any, Context], AsyncGenerator[Any, None]]) -> Answer:
    async def answer(request: Any, context: Context) -> None:
        begun = False
        async with aclosing(method(request, context)) as messages:
            async for message in messages:
                if not begun:
                    await context.send_initial_metadata(current_call().headers)
                    begun = True
                await context.write(message)

    return answer
