#!/usr/bin/env bash
# google-genai 3.6.1 writes pictures into a request as inlineData with mime_type inside (camel case around snake case) and in
# the alphabet for addresses: a server or proxy that reads the documented inlineData.mimeType, or decodes strictly, finds none.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check google-genai==3.6.1
cat > "$folder/ask.py" <<'PYTHON'
import base64, binascii, json, sys, threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

PICTURE = bytes(range(256))
bodies = []


class Gemini(BaseHTTPRequestHandler):
    """Answers as the Developer API does, with a text."""

    def do_POST(self):
        bodies.append(json.loads(self.rfile.read(int(self.headers["content-length"]))))
        parts = [{"text": "seen"}]
        body = json.dumps({"candidates": [{"content": {"parts": parts}, "finishReason": "STOP"}]}).encode()
        self.send_response(200)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


server = ThreadingHTTPServer(("127.0.0.1", 0), Gemini)
threading.Thread(target=server.serve_forever, daemon=True).start()
from google import genai
from google.genai import types

client = genai.Client(api_key="k", http_options=types.HttpOptions(base_url=f"http://127.0.0.1:{server.server_port}"))
picture = types.Part.from_bytes(data=PICTURE, mime_type="image/png")
client.models.generate_content(model="gemini-3.1-flash-image", contents=[picture, "warmer"])
inline = bodies[0]["contents"][0]["parts"][0]["inlineData"]
try:
    base64.b64decode(inline["data"], validate=True)
    strict = "is read"
except binascii.Error as error:
    strict = f"fails: {error}"
members = sorted(inline)
print(f"google-genai {genai.__version__}: inlineData has {members}; strict base64 {strict}")
same = members == ["data", "mime_type"] and strict.startswith("fails") and base64.urlsafe_b64decode(inline["data"]) == PICTURE
sys.exit(0 if same else 1)
PYTHON
"$folder/venv/bin/python" "$folder/ask.py"
