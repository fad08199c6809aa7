#!/usr/bin/env bash
# mcp 2.3.0, streamable HTTP of 2026-07-28: a request whose Accept names neither JSON nor events is answered 406 with
# an empty body and no content type, where its other refusals of a request are JSON-RPC errors.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check "mcp==2.3.0"

"$folder/venv/bin/python" - <<'PY'
import asyncio
import json
import sys
from importlib.metadata import version

from mcp.server.lowlevel.server import Server
from mcp.server.streamable_http_manager import StreamableHTTPSessionManager


async def ask(manager, accept, body):
    sent = []

    async def receive():
        return {"type": "http.request", "body": body, "more_body": False}

    async def send(message):
        sent.append(message)

    headers = {"content-type": "application/json", "accept": accept, "mcp-protocol-version": "2026-07-28"}
    raw = [(name.encode(), value.encode()) for name, value in headers.items()]
    scope = {"type": "http", "method": "POST", "path": "/", "query_string": b"", "headers": raw}
    await manager.handle_request(scope, receive, send)
    kind = dict(sent[0]["headers"]).get(b"content-type", b"none").decode()
    return sent[0]["status"], kind, b"".join(each.get("body", b"") for each in sent[1:])


async def main():
    manager = StreamableHTTPSessionManager(Server("x"), stateless=True)
    async with manager.run():
        refused = await ask(manager, "text/plain", b'{"jsonrpc": "2.0", "id": 1, "method": "ping"}')
        broken = await ask(manager, "application/json, text/event-stream", b"null")
    print("mcp", version("mcp"))
    print("accept text/plain:", refused)
    print("body null:", broken)
    return refused == (406, "none", b"") and broken[1].startswith("application/json") and json.loads(broken[2])


sys.exit(0 if asyncio.run(main()) else "the behaviour has changed")
PY
