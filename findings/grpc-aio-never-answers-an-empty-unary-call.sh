#!/usr/bin/env bash
# grpcio 1.85.1, asyncio server: a unary call that ends its request without a message is never answered: no handler runs,
# no status is sent, and its caller waits until its own deadline. The threaded server of the same package answers at once.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check grpcio==1.85.1
cat > "$folder/empty.py" <<'PY'
import asyncio
import time
from concurrent.futures import ThreadPoolExecutor

import grpc
from grpc import aio

DEADLINE_S = 3


def handlers(handle):
    handler = grpc.unary_unary_rpc_method_handler(handle)
    return (grpc.method_handlers_generic_handler("test.Test", {"Call": handler}),)


def ask(port: int) -> tuple[str, float]:
    """Make the call without a message; return its status and how long it took."""
    began = time.monotonic()
    with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
        try:
            channel.stream_unary("/test.Test/Call")(iter(()), timeout=DEADLINE_S)
        except grpc.RpcError as error:
            return error.code().name, time.monotonic() - began
    return "OK", time.monotonic() - began


async def with_asyncio() -> tuple[str, float]:
    async def handle(request, context):
        return request

    server = aio.server()
    server.add_generic_rpc_handlers(handlers(handle))
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    answer = await asyncio.to_thread(ask, port)
    await server.stop(None)
    return answer


def with_threads() -> tuple[str, float]:
    server = grpc.server(ThreadPoolExecutor(2))
    server.add_generic_rpc_handlers(handlers(lambda request, context: request))
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    answer = ask(port)
    server.stop(None)
    return answer


waited, answered = asyncio.run(with_asyncio()), with_threads()
print("grpcio", grpc.__version__, "asyncio:", waited, "threads:", answered)
assert waited[0] == "DEADLINE_EXCEEDED" and waited[1] >= DEADLINE_S, "the behaviour has changed"
assert answered[1] < DEADLINE_S, "the behaviour has changed"
PY
"$folder/venv/bin/python" "$folder/empty.py"
