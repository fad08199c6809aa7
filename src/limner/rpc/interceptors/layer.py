"""How the layers come around a handler: once per method, and alike for calls with one answer and with many."""

import inspect
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from contextlib import aclosing
from typing import Any, Protocol, TypeAlias

import grpc
from grpc_interceptor.server import AsyncServerInterceptor

from limner.rpc.call import Context, current_call
from limner.rpc.interceptors.decoding import lenient

Handler: TypeAlias = Any
"""A ``grpc.RpcMethodHandler``, which is a named tuple though its stub does not say so."""

Answer: TypeAlias = Callable[[Any, Context], Awaitable[Any]]
"""Answers a request: returns the message, or writes the messages of a stream to the context."""


class Layer(Protocol):
    """What every call passes on its way to the handler, and again on its way back."""

    def around(self, answer: Answer, method: str) -> Answer:
        """Return what passes calls on to ``answer``. ``method`` is its full name, ``/package.Service/Call``."""


class Layers(AsyncServerInterceptor):
    """Puts the layers, which are given from the outside in, around each method's handler when it is first called.

    Requests reach the outer layers unread: gRPC reads the message of a unary call before any handler sees it, 20 MiB
    of a stranger's included, so each method is served as if its request were a stream. On the wire both are the same.
    ``inner`` get the message, which ``receive`` reads, or the iterator of a method whose requests are a stream.

    One interceptor for all layers: grpc-interceptor builds its handler anew in each call, which is kept here instead.
    """

    def __init__(self, outer: Sequence[Layer], receive: Layer, inner: Sequence[Layer]) -> None:
        self._outer = outer
        self._receive = receive
        self._inner = inner
        self._handlers: dict[str, Handler] = {}
        self._answers: dict[str, Answer] = {}

    async def intercept_service(
        self,
        continuation: Callable[[grpc.HandlerCallDetails], Awaitable[Handler]],
        handler_call_details: grpc.HandlerCallDetails,
    ) -> Handler:
        """Return the handler within the layers, or None where there is no such method."""
        name = handler_call_details.method

        async def unread(details: grpc.HandlerCallDetails) -> Handler:
            handler = await continuation(details)
            if handler is None:
                return None
            self._answers[name] = self._around(handler, name)
            return _reading_by_itself(handler)

        if name not in self._handlers:
            building = super().intercept_service(unread, handler_call_details)  # type: ignore[no-untyped-call]
            handler: Handler = await building
            if handler is None:
                return None
            self._handlers[name] = handler
        return self._handlers[name]

    async def intercept(
        self, method: Callable[..., Any], request_or_iterator: Any, context: Context, method_name: str
    ) -> Any:
        """Pass a call through the layers to the method."""
        return await self._answers[method_name](request_or_iterator, context)

    def _around(self, handler: Handler, name: str) -> Answer:
        answer = _answer(handler)
        receive = [] if handler.request_streaming else [self._receive]
        for layer in reversed([*self._outer, *receive, *self._inner]):
            answer = layer.around(answer, name)
        return answer


def _reading_by_itself(handler: Handler) -> Handler:
    """Return the handler as one that reads its requests from a stream."""
    decode = handler.request_deserializer
    if decode is not None and not handler.request_streaming:
        decode = lenient(decode)
    streams = handler.response_streaming
    build = grpc.stream_stream_rpc_method_handler if streams else grpc.stream_unary_rpc_method_handler
    method = next(
        filter(None, (handler.unary_unary, handler.unary_stream, handler.stream_unary, handler.stream_stream))
    )
    return build(method, request_deserializer=decode, response_serializer=handler.response_serializer)


def _answer(handler: Handler) -> Answer:
    request = "stream" if handler.request_streaming else "unary"
    response = "stream" if handler.response_streaming else "unary"
    method = getattr(handler, f"{request}_{response}")
    if inspect.isasyncgenfunction(method):
        return _written(method)
    # A stream that is no generator writes its messages by itself.
    return _written_by_itself(method) if handler.response_streaming else _returned(method)


def _returned(method: Answer) -> Answer:
    async def answer(request: Any, context: Context) -> Any:
        message = await method(request, context)
        await context.send_initial_metadata(current_call().headers)
        return message

    return answer


def _written_by_itself(method: Answer) -> Answer:
    async def answer(request: Any, context: Context) -> None:
        await method(request, context)

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
