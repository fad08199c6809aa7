"""A receiver of webhooks on loopback, and the file that names it."""

import base64
import json
import secrets
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import standardwebhooks


@dataclass(frozen=True)
class Request:
    """One attempt to deliver an event."""

    at_s: float
    path: str
    headers: Mapping[str, str]
    body: bytes

    @property
    def event(self) -> dict[str, Any]:
        event: dict[str, Any] = json.loads(self.body)
        return event


@dataclass
class Receiver:
    """Keeps what it is sent. ``answers`` are its next statuses and headers; later ones are 204."""

    port: int
    secret: str = field(default_factory=lambda: f"whsec_{base64.b64encode(secrets.token_bytes(32)).decode()}")
    requests: list[Request] = field(default_factory=list)
    answers: list[tuple[int, Mapping[str, str]]] = field(default_factory=list)

    def url(self, workspace_id: str) -> str:
        return f"http://127.0.0.1:{self.port}/{workspace_id}"

    def wait(self, workspace_id: str, count: int = 1, *, within_s: float = 10.0) -> list[Request]:
        """Return the attempts for a workspace, when there are so many."""
        deadline = time.monotonic() + within_s
        while len(found := self.of(workspace_id)) < count:
            assert time.monotonic() < deadline, f"{len(found)} of {count} attempts came"
            time.sleep(0.02)
        return found

    def of(self, workspace_id: str) -> list[Request]:
        return [each for each in self.requests if each.path == f"/{workspace_id}"]

    def verified(self, request: Request) -> Any:
        """Return the event as the reference implementation reads it, or raise."""
        return standardwebhooks.Webhook(self.secret).verify(request.body, dict(request.headers))

    def settings(self, folder: Path, *workspace_ids: str) -> dict[str, str]:
        """Write the file that names the receiver, and return what the service needs to read it."""
        path = folder / "webhooks.toml"
        table = '[[webhooks]]\nworkspace = "{}"\nurl = "{}"\nsecret_env = "WEBHOOK_SECRET"\n'
        path.write_text("".join(table.format(each, self.url(each)) for each in workspace_ids))
        return {"LIMNER_WEBHOOKS": str(path), "WEBHOOK_SECRET": self.secret}


@contextmanager
def running_receiver() -> Iterator[Receiver]:
    """Listen on a free port of loopback."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            headers = {name.lower(): value for name, value in self.headers.items()}
            body = self.rfile.read(int(headers["content-length"]))
            receiver.requests.append(Request(time.monotonic(), self.path, headers, body))
            status, answered = receiver.answers.pop(0) if receiver.answers else (204, {})
            self.send_response(status)
            for name, value in answered.items():
                self.send_header(name, value)
            self.end_headers()

        def do_GET(self) -> None:
            receiver.requests.append(Request(time.monotonic(), self.path, {}, b""))
            self.send_response(204)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    receiver = Receiver(server.server_address[1])
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield receiver
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
