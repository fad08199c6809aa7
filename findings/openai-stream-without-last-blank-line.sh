#!/usr/bin/env bash
# openai 3.57.0: a stream whose last event lacks its blank line yields nothing of it and raises nothing, so that a
# picture that was paid for and sent whole is silently lost; the same client with the blank line gets it.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check "openai==3.57.0"

"$folder/venv/bin/python" - <<'PY'
import http.server
import json
import sys
import threading
from importlib.metadata import version

import openai

EVENT = b"event: image_generation.completed\ndata: " + json.dumps(
    {"type": "image_generation.completed", "b64_json": "aGk=", "created_at": 1}
).encode()


class Handler(http.server.BaseHTTPRequestHandler):
    def do_POST(self):
        self.rfile.read(int(self.headers["content-length"]))
        kind, body = {
            "/whole/images/generations": ("text/event-stream", EVENT + b"\n\n"),
            "/short/images/generations": ("text/event-stream", EVENT + b"\n"),
            "/plain/images/generations": ("application/json", b'{"created": 1, "data": [{"b64_json": "aGk="}]}'),
        }[self.path]
        self.send_response(200)
        self.send_header("content-type", kind)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
threading.Thread(target=server.serve_forever, daemon=True).start()
print("openai", version("openai"))
seen = {}
for name in ("whole", "short", "plain"):
    with openai.OpenAI(api_key="k", base_url=f"http://127.0.0.1:{server.server_port}/{name}") as client:
        try:
            seen[name] = [event.type for event in client.images.generate(prompt="a fox", stream=True)]
        except Exception as error:
            seen[name] = type(error).__name__
    print(f"{name}: {seen[name]}")
server.shutdown()
expected = {"whole": ["image_generation.completed"], "short": [], "plain": []}
sys.exit(0 if seen == expected else "the behaviour has changed")
PY
