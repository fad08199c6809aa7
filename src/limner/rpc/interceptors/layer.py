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

    One interceptor for all of them: grpc-interceptor builds its handler anew in each call, which is kept here instead.
    """

    def __init__(self, layers: Sequence[Layer]) -> None:
        self._layers = layers
        self._handlers: dict[str, Handler] = {}
        self._answers: dict[str, Answer] = {}

    async def intercept_service(
        self,
        continuation: Callable[[grpc.HandlerCallDetails], Awaitable[Handler]],
        handler_call_details: grpc.HandlerCallDetails,
    ) -> Handler:
        """Return the handler within the layers, or None where there is no such method."""
        name = handler_call_details.method
        if name not in self._handlers:
            building = super().intercept_service(continuation, handler_call_details)  # type: ignore[no-untyped-call]
            handler: Handler = await building
            if handler is None:
                return None
            self._handlers[name] = _lenient(handler)
        return self._handlers[name]

    async def intercept(self, method: Callable[..., Any], request: Any, context: Context, method_name: str) -> Any:
        """Pass a call through the layers to the method."""
        if method_name not in self._answers:
            self._answers[method_name] = self._around(method, method_name)
        return await self._answers[method_name](request, context)

    def _around(self, method: Callable[..., Any], name: str) -> Answer:
        answer = _answer(method, streams=self._handlers[name].response_streaming)
        for layer in reversed(self._layers):
            answer = layer.around(answer, name)
        return answer


def _lenient(handler: Handler) -> Handler:
    decode = handler.request_deserializer
    if decode is None or handler.request_streaming:
        return handler
    return handler._replace(request_deserializer=lenient(decode))


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
