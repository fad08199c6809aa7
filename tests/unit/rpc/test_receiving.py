"""How many messages a worker receives at a time, and whose."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import grpc
import pytest
from google.protobuf.wrappers_pb2 import StringValue
from grpc import aio

from limner.domain.errors import CredentialsInvalidError
from limner.rpc.call import current_call
from limner.rpc.interceptors.access_log import AccessLogLayer
from limner.rpc.interceptors.authorisation import TokenLayer
from limner.rpc.interceptors.errors import ErrorLayer
from limner.rpc.interceptors.layer import Answer, Layers
from limner.rpc.interceptors.receiving import UPLOADS, ReceivingLayer
from limner.service.caller import Caller, Role

SERVICE, METHOD = max(UPLOADS)[1:].split("/")
OTHER = "GetImage"


class Tokens:
    """Accepts any token but ``wrong``, as that of the user of the same name."""

    async def verify(self, token: str) -> Caller:
        if token == "wrong":
            raise CredentialsInvalidError
        return Caller(user_id=token, workspaces={} if token == "nobody" else {"acme": Role.MEMBER})

    async def close(self) -> None:
        pass


class Arrivals:
    """A layer that knows which calls' callers are known, before their message is received."""

    def __init__(self) -> None:
        self.users: list[str] = []
        self.come = asyncio.Condition()

    def around(self, answer: Answer, method: str) -> Answer:
        async def arrived(request: Any, context: Any) -> Any:
            caller = current_call().caller
            self.users.append(caller.user_id if caller else "")
            async with self.come:
                self.come.notify_all()
            return await answer(request, context)

        return arrived

    async def until(self, count: int) -> None:
        async with asyncio.timeout(10), self.come:
            await self.come.wait_for(lambda: len(self.users) >= count)


class Uploads:
    """A service whose uploads end when they are let."""

    def __init__(self) -> None:
        self.begun: list[str] = []
        self.changed = asyncio.Condition()
        self.let_go = asyncio.Event()
        self.arrivals = Arrivals()

    async def upload(self, request: StringValue, context: Any) -> StringValue:
        self.begun.append(request.value)
        async with self.changed:
            self.changed.notify_all()
        await self.let_go.wait()
        return request

    async def other(self, request: StringValue, context: Any) -> StringValue:
        return request

    async def until_begun(self, *values: str, count: int = 0) -> None:
        async with asyncio.timeout(10), self.changed:
            await self.changed.wait_for(lambda: set(values) <= set(self.begun) and len(self.begun) >= count)

    @asynccontextmanager
    async def served(self, receiving: ReceivingLayer) -> AsyncIterator[aio.Channel]:
        layers = Layers([AccessLogLayer(), ErrorLayer(), TokenLayer(Tokens()), self.arrivals], receiving, [])
        server = aio.server(interceptors=[layers])
        codec: dict[str, Any] = {
            "request_deserializer": StringValue.FromString,
            "response_serializer": StringValue.SerializeToString,
        }
        handlers = {
            METHOD: grpc.unary_unary_rpc_method_handler(self.upload, **codec),
            OTHER: grpc.unary_unary_rpc_method_handler(self.other, **codec),
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


def call(channel: aio.Channel, user: str, value: str = "", method: str = METHOD) -> Any:
    stub: Any = channel.unary_unary(
        f"/{SERVICE}/{method}",
        request_serializer=StringValue.SerializeToString,
        response_deserializer=StringValue.FromString,
    )
    return stub(StringValue(value=value or user), metadata=(("authorization", f"Bearer {user}"),))


async def silent(channel: aio.Channel, user: str, method: str = METHOD) -> Any:
    """Begin a call that sends its headers and nothing more."""
    stub: Any = channel.stream_unary(f"/{SERVICE}/{method}", response_deserializer=StringValue.FromString)
    begun = stub(metadata=(("authorization", f"Bearer {user}"),))
    await begun.wait_for_connection()
    return begun


async def refusal(refused: Any) -> grpc.StatusCode:
    with pytest.raises(aio.AioRpcError) as raised:
        await refused
    return raised.value.code()


async def test_more_wait_until_one_ends_and_other_calls_do_not(uploads: Uploads) -> None:
    async with uploads.served(ReceivingLayer(uploads_at_once=2)) as channel:
        calls = [call(channel, f"user-{number}") for number in range(5)]
        await uploads.arrivals.until(5)
        await uploads.until_begun(count=2)
        assert (await call(channel, "other", method=OTHER)).value == "other"
        assert len(uploads.begun) == 2
        uploads.let_go.set()
        assert [(await each).value for each in calls] == [f"user-{number}" for number in range(5)]


async def test_one_caller_leaves_a_place_to_the_others(uploads: Uploads) -> None:
    async with uploads.served(ReceivingLayer(uploads_at_once=3)) as channel:
        many = [call(channel, "ada", f"{number}") for number in range(10)]
        await uploads.arrivals.until(10)
        another = call(channel, "bob")
        await uploads.until_begun("bob", count=3)
        assert len(uploads.begun) == 3
        uploads.let_go.set()
        assert (await another).value == "bob"
        assert len([await each for each in many]) == 10


async def test_callers_who_go_away_leave_their_places(uploads: Uploads) -> None:
    async with uploads.served(ReceivingLayer(uploads_at_once=1)) as channel:
        first = call(channel, "first")
        await uploads.until_begun("first")
        waiting = call(channel, "waiting")
        await uploads.arrivals.until(2)
        last = call(channel, "last")
        await uploads.arrivals.until(3)
        waiting.cancel()
        first.cancel()
        await uploads.until_begun("last")
        uploads.let_go.set()
        assert (await last).value == "last"
        assert uploads.begun == ["first", "last"]


@pytest.mark.parametrize(
    ("user", "code"),
    [("wrong", grpc.StatusCode.UNAUTHENTICATED), ("nobody", grpc.StatusCode.PERMISSION_DENIED)],
)
async def test_who_may_not_ask_is_told_before_anything_is_received(
    uploads: Uploads, user: str, code: grpc.StatusCode
) -> None:
    async with uploads.served(ReceivingLayer(uploads_at_once=1)) as channel:
        async with asyncio.timeout(5):
            for _ in range(12):
                assert await refusal(await silent(channel, user)) is code
        assert uploads.arrivals.users == []


async def test_silence_takes_a_place_for_a_short_while_only(uploads: Uploads) -> None:
    uploads.let_go.set()
    async with uploads.served(ReceivingLayer(uploads_at_once=1, held_s=0.05)) as channel:
        held = [await silent(channel, "silent") for _ in range(3)]
        await uploads.arrivals.until(3)
        async with asyncio.timeout(5):
            assert (await call(channel, "ada")).value == "ada"
        for each in held:
            each.cancel()


async def test_the_silence_of_a_caller_ends_for_himself_too(uploads: Uploads) -> None:
    uploads.let_go.set()
    async with uploads.served(ReceivingLayer(uploads_at_once=1, held_s=0.02)) as channel:
        held = await silent(channel, "ada")
        await uploads.arrivals.until(1)
        async with asyncio.timeout(5):
            assert (await call(channel, "ada")).value == "ada"
        held.cancel()


async def test_who_is_silent_in_many_calls_comes_after_who_is_not(uploads: Uploads) -> None:
    uploads.let_go.set()
    async with uploads.served(ReceivingLayer(uploads_at_once=1, held_s=0.2, slow_uploads=100)) as channel:
        held = [await silent(channel, "silent") for _ in range(40)]
        await uploads.arrivals.until(40)
        async with asyncio.timeout(2):  # 40 turns of theirs would take 8 s
            assert (await call(channel, "ada")).value == "ada"
        for each in held:
            each.cancel()


async def test_of_too_many_slow_uploads_the_oldest_of_the_greediest_is_given_up(uploads: Uploads) -> None:
    uploads.let_go.set()
    async with uploads.served(ReceivingLayer(uploads_at_once=1, held_s=0.01, slow_uploads=1)) as channel:
        slow = await silent(channel, "slow")
        await uploads.arrivals.until(1)
        greedy = [await silent(channel, "greedy") for _ in range(2)]
        assert await refusal(greedy[0]) is grpc.StatusCode.RESOURCE_EXHAUSTED
        assert (await call(channel, "ada")).value == "ada"
        slow.cancel()
        greedy[1].cancel()


async def test_silent_calls_of_other_methods_are_bounded_and_keep_nobody_out(uploads: Uploads) -> None:
    async with uploads.served(ReceivingLayer(others_at_once=4)) as channel:
        held = [await silent(channel, "silent", OTHER) for _ in range(12)]
        await uploads.arrivals.until(12)
        async with asyncio.timeout(5):
            assert [await refusal(each) for each in held[:8]] == [grpc.StatusCode.RESOURCE_EXHAUSTED] * 8
            for _ in range(10):
                assert (await call(channel, "ada", method=OTHER)).value == "ada"
        for each in held[8:]:
            each.cancel()
