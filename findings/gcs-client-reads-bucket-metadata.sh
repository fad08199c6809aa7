#!/usr/bin/env bash
# google-cloud-storage 3.17 reads the bucket's own metadata in a thread of its own with the first call, though no tracing
# is on: a service account with object rights alone causes 403s in the audit log that no call of the caller's explains.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check google-cloud-storage==3.17.1
cat > "$folder/ask.py" <<'PYTHON'
import json, os, sys, threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

asked = []


class Bucket(BaseHTTPRequestHandler):
    """Answers like a bucket whose only object is ``picture``."""

    def do_GET(self):
        asked.append(self.path.partition("?")[0])
        found = self.path.startswith("/storage/v1/b/pictures/o/picture")
        body = json.dumps({"name": "picture", "bucket": "pictures", "size": "7", "generation": "1"} if found else
                          {"error": {"code": 403, "message": "no storage.buckets.get"}}).encode()
        self.send_response(200 if found else 403)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


server = ThreadingHTTPServer(("127.0.0.1", 0), Bucket)
threading.Thread(target=server.serve_forever, daemon=True).start()
os.environ["STORAGE_EMULATOR_HOST"] = f"http://127.0.0.1:{server.server_port}"
from google.cloud import storage

client = storage.Client(project="p")
assert client.bucket("pictures").get_blob("picture") is not None
for thread in threading.enumerate():
    if "_background" in thread.name:
        thread.join()
print(f"google-cloud-storage {storage.__version__}, {sys.argv[1]}: {sorted(set(asked))}")
sys.exit(0 if ("/storage/v1/b/pictures" in asked) == (sys.argv[1] == "as it comes") else 1)
PYTHON
"$folder/venv/bin/python" "$folder/ask.py" "as it comes"
DISABLE_GCS_PYTHON_CLIENT_OTEL_BUCKET_METADATA=true "$folder/venv/bin/python" "$folder/ask.py" "switched off"
echo "The switch is named after OpenTelemetry, and works without it."
