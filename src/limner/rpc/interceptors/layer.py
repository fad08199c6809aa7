"""What the interceptors share: one context manager around a call, whether it answers once or streams."""

import abc
import inspect
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager
from typing import Any

from grpc_interceptor.server import AsyncServerInterceptor

from limner.rpc.call import Context


class Layer(AsyncServerInterceptor, abc.ABC):
    """An interceptor that is written once, as ``around``, for calls with one answer and with many."""

    @abc.abstractmethod
    def around(self, request: Any, context: Context, method: str) -> AbstractAsyncContextManager[None]:
        """Return what to do before the call and after it. ``method`` is its full name, ``/package.Service/Call``."""

    async def before_answer(self, context: Context) -> None:
        """Do what must come before the first message of the answer; by default nothing."""

    async def intercept(
        self, method: Callable[..., Any], request_or_iterator: Any, context: Context, method_name: str
    ) -> Any:
        """Answer the call within ``around``."""
        if inspect.isasyncgenfunction(method):
            return self._stream(method, request_or_iterator, context, method_name)
        async with self.around(request_or_iterator, context, method_name):
            answer = await method(request_or_iterator, context)
            await self.before_answer(context)
            return answer

    async def _stream(
        self, method: Callable[..., AsyncIterator[Any]], request: Any, context: Context, method_name: str
    ) -> AsyncIterator[Any]:
        async with self.around(request, context, method_name):
            begun = False
            async for answer in method(request, context):
                if not begun:
                    await self.before_answer(context)
                    begun = True
                yield answer
