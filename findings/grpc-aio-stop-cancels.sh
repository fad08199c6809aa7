#!/usr/bin/env bash
# grpc.aio 1.85: while a server stops with seconds of grace, calls that arrive are told CANCELLED, as if their callers had
# given up, not UNAVAILABLE, which is what clients and proxies try again elsewhere. No call runs longer than 5 ms here.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check grpcio==1.85.1
cat > "$folder/restart.py" <<'PYTHON'
import asyncio, sys
from collections import Counter

import grpc
from grpc import aio


async def work(request, context):
    await asyncio.sleep(0.005)
    return b"done"


handlers = grpc.method_handlers_generic_handler("a.Service", {"Work": grpc.unary_unary_rpc_method_handler(work)})


async def serve(address):
    server = aio.server()
    server.add_generic_rpc_handlers((handlers,))
    port = server.add_insecure_port(address)
    await server.start()
    return server, f"127.0.0.1:{port}"


async def main():
    server, address = await serve("127.0.0.1:0")
    codes, ended = Counter(), asyncio.Event()

    async def call_on():
        async with aio.insecure_channel(address) as channel:
            call = channel.unary_unary("/a.Service/Work")
            while not ended.is_set():
                try:
                    await call(b"", wait_for_ready=True, timeout=20)
                    codes["OK"] += 1
                except aio.AioRpcError as error:
                    codes[error.code().name] += 1

    callers = [asyncio.create_task(call_on()) for _ in range(16)]
    for _ in range(10):
        await asyncio.sleep(0.3)
        await server.stop(grace=5)
        server, _ = await serve(address)
    ended.set()
    await asyncio.gather(*callers)
    await server.stop(None)
    print("grpcio", grpc.__version__, "ten restarts with 5 s of grace:", dict(codes))
    return codes


codes = asyncio.run(main())
sys.exit(0 if codes["CANCELLED"] and not codes["UNAVAILABLE"] else 1)
PYTHON
"$folder/venv/bin/python" "$folder/restart.py"
