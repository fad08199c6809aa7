"""How many uploads a worker receives at a time."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import grpc
import pytest
from google.protobuf.wrappers_pb2 import StringValue
from grpc import aio

from limner.rpc.interceptors.uploads import UPLOAD, UploadGate

SERVICE, METHOD = UPLOAD[1:].split("/")


class Uploads:
    """A service whose calls end when they are let."""

    def __init__(self) -> None:
        self.begun: list[str] = []
        self.let_go = asyncio.Event()

    async def upload(self, request: StringValue, context: Any) -> StringValue:
        self.begun.append(request.value)
        await self.let_go.wait()
        return request

    async def other(self, request: StringValue, context: Any) -> StringValue:
        return request

    @asynccontextmanager
    async def served(self, gate: UploadGate) -> AsyncIterator[aio.Channel]:
        server = aio.server(interceptors=[gate])
        codec: dict[str, Any] = {
            "request_deserializer": StringValue.FromString,
            "response_serializer": StringValue.SerializeToString,
        }
        handlers = {
            METHOD: grpc.unary_unary_rpc_method_handler(self.upload, **codec),
            "Other": grpc.unary_unary_rpc_method_handler(self.other, **codec),
        }
        server.add_registered_method_handlers(SERVICE, handlers)
        port = server.add_insecure_port("127.0.0.1:0")
        await server.start()
        try:
            async with aio.insecure_channel(f"127.0.0.1:{port}") as channel:
                yield channel
        finally:
            await server.stop(None)


@pytest.fixture
def uploads() -> Uploads:
    return Uploads()


def call(channel: aio.Channel, value: str, method: str = METHOD) -> Any:
    stub: Any = channel.unary_unary(
        f"/{SERVICE}/{method}",
        request_serializer=StringValue.SerializeToString,
        response_deserializer=StringValue.FromString,
    )
    return stub(StringValue(value=value))


async def until_begun(uploads: Uploads, count: int) -> None:
    async with asyncio.timeout(10):
        while len(uploads.begun) < count:  # noqa: ASYNC110 - the service tells nobody
            await asyncio.sleep(0.01)
    await asyncio.sleep(0.1)
    assert len(uploads.begun) == count


async def test_more_wait_until_one_ends_and_other_calls_do_not(uploads: Uploads) -> None:
    async with uploads.served(UploadGate(at_once=2)) as channel:
        calls = [call(channel, str(number)) for number in range(5)]
        await until_begun(uploads, 2)
        assert (await call(channel, "other", "Other")).value == "other"
        uploads.let_go.set()
        assert [(await each).value for each in calls] == ["0", "1", "2", "3", "4"]


async def test_callers_who_go_away_leave_their_places(uploads: Uploads) -> None:
    async with uploads.served(UploadGate(at_once=1)) as channel:
        first = call(channel, "first")
        await until_begun(uploads, 1)
        waiting, last = (call(channel, name) for name in ("waiting", "last"))
        await until_begun(uploads, 1)
        waiting.cancel()
        first.cancel()
        await until_begun(uploads, 2)
        uploads.let_go.set()
        assert (await last).value == "last"
        assert uploads.begun == ["first", "last"]


async def test_who_takes_long_keeps_nobody_out(uploads: Uploads) -> None:
    async with uploads.served(UploadGate(at_once=1, held_s=0.2)) as channel:
        calls = [call(channel, str(number)) for number in range(2)]
        await until_begun(uploads, 2)
        uploads.let_go.set()
        assert [(await each).value for each in calls] == ["0", "1"]
