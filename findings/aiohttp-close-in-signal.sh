#!/usr/bin/env bash
# aiohttp's server calls on_response_prepare after it has decided about the connection header: force_close() in that
# signal closes the connection, but the answer does not say `connection: close`, so a client or proxy that keeps
# connections takes it for reusable and may send its next request into the closing one.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check aiohttp==3.14.5
"$folder/venv/bin/python" - <<'PYTHON'
import asyncio
import sys

import aiohttp
from aiohttp import web


async def leave(request, response):
    response.force_close()


async def from_signal(request):
    return web.Response(text="ok")


async def from_handler(request):
    response = web.Response(text="ok")
    response.force_close()
    return response


async def ask(port, path):
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(f"GET {path} HTTP/1.1\r\nhost: x\r\n\r\n".encode())
    answer = await asyncio.wait_for(reader.read(), 5)
    writer.close()
    return b"connection: close" in answer.lower()


async def serve(handler, signal):
    application = web.Application()
    application.router.add_get("/", handler)
    if signal:
        application.on_response_prepare.append(signal)
    runner = web.AppRunner(application)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    try:
        return await ask(runner.addresses[0][1], "/")
    finally:
        await runner.cleanup()


async def main():
    print("aiohttp", aiohttp.__version__, "Python", sys.version.split()[0])
    handler, signal = await serve(from_handler, None), await serve(from_signal, leave)
    print("the server closed both connections after the answer")
    print("force_close() in the handler: answer says connection: close ->", handler)
    print("force_close() in on_response_prepare: answer says connection: close ->", signal)
    sys.exit(0 if handler and not signal else "the behaviour has changed")


asyncio.run(main())
PYTHON
