import asyncio
import gc
import weakref
from collections.abc import AsyncIterator, Callable
from typing import Any

import grpc
import pytest
from google.protobuf.wrappers_pb2 import StringValue
from grpc import aio

from limner.domain.errors import PermissionDeniedError
from limner.rpc.call import REQUEST_ID_KEY
from limner.rpc.interceptors.access_log import AccessLogLayer
from limner.rpc.interceptors.errors import ErrorLayer
from limner.rpc.interceptors.layer import Answer, Layers
from limner.rpc.interceptors.receiving import ReceivingLayer

CODEC: dict[str, Any] = {
    "request_deserializer": StringValue.FromString,
    "response_serializer": StringValue.SerializeToString,
}
CLIENT_CODEC: dict[str, Any] = {
    "request_serializer": StringValue.SerializeToString,
    "response_deserializer": StringValue.FromString,
}


class CountingLayer:
    """Counts how often it is put around a method."""

    def __init__(self) -> None:
        self.methods: list[str] = []

    def around(self, answer: Answer, method: str) -> Answer:
        self.methods.append(method)
        return answer


async def one_to_one(request: StringValue, context: Any) -> StringValue:
    return request


async def one_to_many(request: StringValue, context: Any) -> AsyncIterator[StringValue]:
    for letter in request.value:
        yield StringValue(value=letter)


async def one_to_many_written(request: StringValue, context: Any) -> None:
    for letter in request.value:
        await context.write(StringValue(value=letter))


async def many_to_one(requests: AsyncIterator[StringValue], context: Any) -> StringValue:
    return StringValue(value="".join([each.value async for each in requests]))


async def many_to_many(requests: AsyncIterator[StringValue], context: Any) -> AsyncIterator[StringValue]:
    async for each in requests:
        yield each


async def broken_stream(request: StringValue, context: Any) -> AsyncIterator[StringValue]:
    yield request
    raise RuntimeError


HANDLERS = {
    "OneToOne": grpc.unary_unary_rpc_method_handler(one_to_one, **CODEC),
    "OneToMany": grpc.unary_stream_rpc_method_handler(one_to_many, **CODEC),
    "OneToManyWritten": grpc.unary_stream_rpc_method_handler(one_to_many_written, **CODEC),
    "ManyToOne": grpc.stream_unary_rpc_method_handler(many_to_one, **CODEC),
    "ManyToMany": grpc.stream_stream_rpc_method_handler(many_to_many, **CODEC),
    "BrokenStream": grpc.unary_stream_rpc_method_handler(broken_stream, **CODEC),
}


@pytest.fixture
def counting() -> CountingLayer:
    return CountingLayer()


@pytest.fixture
async def channel(counting: CountingLayer) -> AsyncIterator[aio.Channel]:
    server = aio.server(interceptors=[Layers([AccessLogLayer(), ErrorLayer()], ReceivingLayer(), [counting])])
    server.add_registered_method_handlers("test.Test", HANDLERS)
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    async with aio.insecure_channel(f"127.0.0.1:{port}") as channel:
        yield channel
    await server.stop(None)


def caller(channel: aio.Channel, kind: str, method: str) -> Callable[..., Any]:
    made: Callable[..., Any] = getattr(channel, kind)(f"/test.Test/{method}", **CLIENT_CODEC)
    return lambda request: made(request, metadata=((REQUEST_ID_KEY, "r-1"),))


@pytest.mark.parametrize(
    ("kind", "method", "has_id"),
    [
        ("unary_unary", "OneToOne", True),
        ("unary_stream", "OneToMany", True),
        ("unary_stream", "OneToManyWritten", False),
        ("stream_unary", "ManyToOne", True),
        ("stream_stream", "ManyToMany", True),
    ],
)
async def test_every_kind_of_method_is_answered(channel: aio.Channel, kind: str, method: str, has_id: bool) -> None:
    for _ in range(2):
        letters = [StringValue(value=letter) for letter in "ab"]
        call = caller(channel, kind, method)(iter(letters) if kind.startswith("stream") else StringValue(value="ab"))
        values = [each.value async for each in call] if kind.endswith("stream") else [(await call).value]
        assert "".join(values) == "ab"
        assert dict(await call.initial_metadata()).get(REQUEST_ID_KEY) == ("r-1" if has_id else None)


async def test_an_error_after_the_first_message_ends_the_stream_with_a_status(channel: aio.Channel) -> None:
    call = caller(channel, "unary_stream", "BrokenStream")(StringValue(value="a"))
    assert (await call.read()).value == "a"
    with pytest.raises(aio.AioRpcError) as raised:
        await call.read()
    assert raised.value.code() is grpc.StatusCode.INTERNAL
    assert dict(raised.value.trailing_metadata() or ())[REQUEST_ID_KEY] == "r-1"


async def test_an_unknown_method_is_unimplemented(channel: aio.Channel, counting: CountingLayer) -> None:
    with pytest.raises(aio.AioRpcError) as raised:
        await caller(channel, "unary_unary", "Unheard")(StringValue())
    assert raised.value.code() is grpc.StatusCode.UNIMPLEMENTED
    assert counting.methods == []


async def test_layers_are_put_around_a_method_once(channel: aio.Channel, counting: CountingLayer) -> None:
    for _ in range(3):
        await caller(channel, "unary_unary", "OneToOne")(StringValue())
    assert counting.methods == ["/test.Test/OneToOne"]


async def test_a_call_without_a_message_is_answered_at_once(channel: aio.Channel) -> None:
    call = caller(channel, "stream_unary", "OneToOne")(iter(()))
    with pytest.raises(aio.AioRpcError) as raised:
        await call
    assert raised.value.code() is grpc.StatusCode.INVALID_ARGUMENT


class Large:
    """A request of which can be told when it is gone."""

    def __init__(self, data: bytes) -> None:
        self.data = data


async def test_a_refused_call_lets_go_of_its_request_without_a_collection() -> None:
    gone = asyncio.Event()

    async def refuse(request: Large, context: Any) -> StringValue:
        weakref.finalize(request, gone.set)
        try:
            raise ValueError("deep inside")
        except ValueError as error:
            raise PermissionDeniedError from error

    handler = grpc.unary_unary_rpc_method_handler(refuse, Large, CODEC["response_serializer"])
    server = aio.server(interceptors=[Layers([AccessLogLayer(), ErrorLayer()], ReceivingLayer(), [])])
    server.add_registered_method_handlers("test.Test", {"Refuse": handler})
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    gc.disable()
    try:
        async with aio.insecure_channel(f"127.0.0.1:{port}") as channel:
            with pytest.raises(aio.AioRpcError) as raised:
                await caller(channel, "unary_unary", "Refuse")(StringValue(value="a"))
        assert raised.value.code() is grpc.StatusCode.PERMISSION_DENIED
        async with asyncio.timeout(5):
            await gone.wait()
    finally:
        gc.enable()
        await server.stop(None)
