#!/usr/bin/env bash
# grpcio 1.85.1, asyncio server: after `context.abort` inside an `except`, the whole request stays in memory until Python's
# cyclic garbage collector runs; the call keeps the exception, its traceback the frames, and these the call and the request.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check grpcio==1.85.1
cat > "$folder/abort.py" <<'PY'
import asyncio
import gc
import weakref

import grpc
from grpc import aio


class Request:
    def __init__(self, data: bytes) -> None:
        self.data = data


async def kept(abort) -> bool:
    """Tell whether a request is still there a second after its call was answered, with collections switched off."""
    seen = []

    async def handle(request, context):
        seen.append(weakref.ref(request))
        await abort(context)
        return b""

    server = aio.server()
    handler = grpc.unary_unary_rpc_method_handler(handle, request_deserializer=Request)
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler("test.Test", {"Call": handler}),))
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    async with aio.insecure_channel(f"127.0.0.1:{port}") as channel:
        try:
            await channel.unary_unary("/test.Test/Call")(bytes(1 << 20))
        except aio.AioRpcError as error:
            assert error.code() is grpc.StatusCode.PERMISSION_DENIED
        await asyncio.sleep(1)
        alive = seen[0]() is not None
    await server.stop(None)
    return alive


async def in_except(context) -> None:
    try:
        raise ValueError
    except ValueError:
        await context.abort(grpc.StatusCode.PERMISSION_DENIED, "no")


async def plainly(context) -> None:
    await context.abort(grpc.StatusCode.PERMISSION_DENIED, "no")


async def without_its_frames(context) -> None:
    try:
        await context.abort(grpc.StatusCode.PERMISSION_DENIED, "no")
    except aio.AbortError as error:
        error.__traceback__ = None  # gRPC raises it again when the handler returns


async def main() -> None:
    gc.disable()
    found = {each.__name__: await kept(each) for each in (in_except, plainly, without_its_frames)}
    print("grpcio", grpc.__version__, "request still in memory after:", found)
    assert found == {"in_except": True, "plainly": True, "without_its_frames": False}, "the behaviour has changed"


asyncio.run(main())
PY
"$folder/venv/bin/python" "$folder/abort.py"
