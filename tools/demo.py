"""``make demo`` and ``make run``: the service on its embedded default, used as a client uses it.

The demo generates over REST, edits over gRPC and upscales over a stream of events, and writes the pictures
to ``out/``. With ``--stay`` the service runs on until Ctrl-C instead, with a token and example calls printed.
"""

import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from imageservice.v1.image_pb2 import Image
from imageservice.v1.image_service_pb2 import EditImagesRequest

from limner.client import Client

ROOT = Path(__file__).resolve().parent.parent
OUT = ROOT / "out"
WORKSPACE = "acme"
USER = "ada"
MOST_PORTS = 100
LIMNER = (sys.executable, "-m", "limner")
PROMPT = "three sailing boats on the sea at sunset"
INSTRUCTION = "make it warmer and add a lighthouse on the right"
EXAMPLE_PROMPT = "a red apple on a table at night"


@dataclass(frozen=True)
class Service:
    """A running service and a token for it."""

    grpc_address: str
    http_address: str
    token: str

    def post(self, path: str, body: dict[str, Any]) -> Any:
        """Send a JSON request to a task path of the workspace, and return the open response."""
        return urllib.request.urlopen(
            urllib.request.Request(
                f"http://{self.http_address}/v1/workspaces/{WORKSPACE}/{path}",
                data=json.dumps(body).encode(),
                headers={"Authorization": f"Bearer {self.token}", "Content-Type": "application/json"},
            ),
            timeout=600,
        )


@contextmanager
def service(data_dir: Path, *ports: str) -> Iterator[Service]:
    """Run ``limner serve`` in a process of its own."""
    command = [*LIMNER, "serve", "--data-dir", str(data_dir), *ports]
    environment = {"LIMNER_LOG_LEVEL": "warning", **os.environ}
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment)
    try:
        assert process.stdout is not None
        ready = dict(part.split("=") for part in process.stdout.readline().split()[1:])
        if not ready:
            sys.exit(process.wait())
        yield Service(ready["grpc"], ready["http"], issue_token(data_dir))
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait()


def issue_token(data_dir: Path) -> str:
    """Return a token of the service's own key."""
    command = [*LIMNER, "token", "--data-dir", str(data_dir), "--user", USER, "--workspace", WORKSPACE, "--ttl", "12h"]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


def demo() -> None:
    """Do the main job once."""
    with (
        tempfile.TemporaryDirectory(prefix="limner-demo-") as folder,
        service(Path(folder), "--grpc-port", "0", "--http-port", "0") as running,
        Client(f"grpc://{running.grpc_address}", token=running.token, workspace=WORKSPACE) as client,
    ):
        print(f"Limner runs: gRPC on {running.grpc_address}, REST on {running.http_address}\n")
        generated = generate(running, client)
        edited = edit(client, generated)
        upscale(running, client, edited)
    print("\nGo on with `make run`, which prints the calls for it, and the address of a console for your browser,")
    print("http://127.0.0.1:8080/console, and of the reference, http://127.0.0.1:8080/docs; or with the same calls:\n")
    print_calls("127.0.0.1:50051", "127.0.0.1:8080", "$LIMNER_TOKEN")


def generate(running: Service, client: Client) -> str:
    """Generate two pictures over REST; return the id of the first."""
    print(f"generate over REST      “{PROMPT}”")
    with running.post("image-generation-tasks", {"prompt": PROMPT, "aspectRatio": "16:9", "numImages": 2}) as response:
        images = json.load(response)["images"]
    for image in images:
        write(client, client.image(image["id"]))
    first: str = images[0]["id"]
    return first


def edit(client: Client, image_id: str) -> str:
    """Edit a picture over gRPC, showing progress; return the id of the new one."""
    print(f"edit over gRPC          “{INSTRUCTION}”")
    made = ""
    for event in client.run(EditImagesRequest(prompt=INSTRUCTION, image_ids=[image_id], output_format="jpeg")):
        if event.HasField("image"):
            write(client, event.image)
            made = event.image.id
    return made


def upscale(running: Service, client: Client, image_id: str) -> None:
    """Upscale a picture over REST as a stream of server-sent events, showing progress."""
    print("upscale over REST       2 × by realesr-animevideo, as a stream of events")
    task = {"upscale": {"imageId": image_id, "modelId": "realesr-animevideo", "upscaleFactor": 2}}
    with running.post("image-tasks:stream", task) as events:
        for line in events:
            if not line.startswith(b"data: "):
                continue
            event = json.loads(line.removeprefix(b"data: "))
            if "progress" in event:
                show_progress(event["progress"]["fraction"])
            if "image" in event:
                write(client, client.image(event["image"]["id"]))


def show_progress(fraction: float) -> None:
    """Draw a bar on a terminal, and nothing elsewhere."""
    if sys.stdout.isatty():
        done = round(fraction * 30)
        print(f"\r  {'█' * done}{'░' * (30 - done)} {fraction:4.0%}", end="\r" if fraction < 1 else "\n", flush=True)


def write(client: Client, image: Image) -> None:
    """Download a picture to ``out/``, and tell where it is."""
    OUT.mkdir(exist_ok=True)
    path = client.download(image.id, OUT, overwrite=True)
    size = f"{image.image_width} × {image.image_height}"
    print(f"  {path.relative_to(ROOT)}  {size}, {image.image_size // 1024} KiB")


def print_calls(grpc_address: str, http_address: str, token: str) -> None:
    """Print calls to copy."""
    path = f"v1/workspaces/{WORKSPACE}/image-generation-tasks"
    print(f"""curl -X POST http://{http_address}/{path} \\
  -H "Authorization: Bearer {token}" -H "Content-Type: application/json" \\
  -d '{{"prompt": "{EXAMPLE_PROMPT}", "aspectRatio": "4:3"}}'

grpcurl -plaintext -H "authorization: Bearer {token}" \\
  -d '{{"workspaceId": "{WORKSPACE}", "prompt": "{EXAMPLE_PROMPT}"}}' \\
  {grpc_address} imageservice.v1.ImageService/GenerateImages
""")


def next_free(port: int) -> int:
    """Return the port, or the next one on loopback that nobody uses, and say so then."""
    for candidate in range(port, port + MOST_PORTS):
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", candidate))
            except OSError:
                continue
        if candidate != port:
            print(f"Port {port} is in use, so this takes {candidate}.")
        return candidate
    sys.exit(f"The ports from {port} to {port + MOST_PORTS - 1} are all in use.")


def usual_port(variable: str, usual: int) -> str:
    """Return what the operator set, or the usual port, or the next free one."""
    return os.environ.get(variable) or str(next_free(usual))


def stay() -> None:
    """Run until Ctrl-C, on the usual ports or those behind them, and the usual data folder."""
    grpc_port, http_port = usual_port("LIMNER_GRPC_PORT", 50051), usual_port("LIMNER_HTTP_PORT", 8080)
    with service(ROOT / ".limner", "--grpc-port", grpc_port, "--http-port", http_port) as running:
        print(f"Limner runs: gRPC on {running.grpc_address}, REST on {running.http_address}. Ctrl-C ends it.\n")
        print(f"export LIMNER_TOKEN={running.token}\n")
        print_calls(running.grpc_address, running.http_address, "$LIMNER_TOKEN")
        print(f"Console:   http://{running.http_address}/console#token={running.token}")
        print(f"Reference: http://{running.http_address}/docs\n", flush=True)
        with suppress(KeyboardInterrupt):
            signal.pause()


if __name__ == "__main__":
    # SIGTERM ends this like Ctrl-C, so that the service is ended too.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    stay() if "--stay" in sys.argv else demo()
