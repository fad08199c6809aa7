"""The TypeScript client, run by Node against the real service, and against one that breaks."""

import json
import shutil
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, TypeAlias

import pytest

from tests.service import Service, running_service
from tests.standin import png
from tools.typescript import DESCRIPTION, ROOT, TYPES, types

CLIENT = ROOT / "clients" / "typescript"
Answer: TypeAlias = tuple[int, dict[str, str], bytes]
COMPILER = CLIENT / "node_modules" / "typescript" / "bin" / "tsc"
needs_node = pytest.mark.skipif(shutil.which("node") is None, reason="Node is not installed")


def node(address: str, token: str, action: str, picture: Path | None = None, **env: str) -> Any:
    """What `client.mjs` prints for an action."""
    command = ["node", "client.mjs", f"http://{address}", token, action, str(picture or "")]
    environment = {"PATH": str(Path(shutil.which("node") or "").parent), **env}
    done = subprocess.run(
        command, cwd=ROOT / "tests" / "node", env=environment, capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    with running_service(tmp_path_factory.mktemp("typescript")) as service:
        yield service


def test_the_types_are_those_of_the_description() -> None:
    assert TYPES.read_text() == types(json.loads(DESCRIPTION.read_text()))


@needs_node
@pytest.mark.skipif(not COMPILER.exists(), reason="the compiler of TypeScript is not installed")
def test_what_is_built_is_what_the_source_gives(tmp_path: Path) -> None:
    subprocess.run(["node", COMPILER, "--project", CLIENT, "--outDir", tmp_path], check=True, timeout=120)
    built = {path.name: path.read_text() for path in tmp_path.iterdir()}
    assert built == {path.name: path.read_text() for path in (CLIENT / "lib").iterdir()}


@needs_node
def test_pictures_are_made_and_told_about(service: Service) -> None:
    assert node(service.http_address, service.token(), "generate") == [[True, "a fox"], [True, "a fox"]]
    events = node(service.http_address, service.token(), "run")
    assert (events[0], events[-1]) == ("queued", "completed")
    assert "image" in events


@needs_node
def test_two_calls_under_one_key_are_one_generation(service: Service) -> None:
    first, second = node(service.http_address, service.token(), "sameKey")
    assert first == second


@needs_node
def test_pictures_go_up_and_come_down(service: Service, tmp_path: Path) -> None:
    (tmp_path / "cat.png").write_bytes(png(200, 100))
    done = node(service.http_address, service.token("eve"), "pictures", tmp_path / "cat.png")
    gone = ["NotFoundError", "IMAGE_NOT_FOUND", 404]
    assert done.pop("used") >= 1
    facts = ("stored", "opened", "listed", "models")
    assert done == {"small": "image/webp", "gone": gone, **dict.fromkeys(facts, True)}


@needs_node
@pytest.mark.parametrize("action", ["fail", "failRun"])
def test_a_refusal_is_typed_and_told_whole(service: Service, action: str) -> None:
    error = node(service.http_address, service.token(), action)
    assert (error["name"], error["reason"], error["status"]) == ("InvalidRequestError", "INVALID_FIELD", 400)
    assert [each["field"] for each in error["violations"]] == ["prompt"]
    assert error["requestId"]


@needs_node
def test_a_wrong_token_is_not_tried_again(service: Service) -> None:
    assert node(service.http_address, "wrong", "fail")["name"] == "UnauthenticatedError"


@needs_node
def test_the_callers_own_signal_ends_a_call_by_its_own_reason(service: Service) -> None:
    assert node(service.http_address, service.token(), "stopped")["message"] == "stopped by us"


class Endless(BaseHTTPRequestHandler):
    """Answers a task by one event, and then waits until the caller goes away; `GET` waits for that, too."""

    left: threading.Event

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["content-length"]))
        self.send_response(200)
        self.end_headers()
        self.wfile.write(b'data: {"queued": {"generationId": "g"}}\n\n')
        assert self.rfile.read(1) == b""
        self.left.set()

    def do_GET(self) -> None:
        self.send_response(200)
        self.end_headers()
        self.wfile.write(json.dumps(self.left.wait(20)).encode())

    def log_message(self, *_: object) -> None:
        """Say nothing."""


class Broken(BaseHTTPRequestHandler):
    """Answers by what `answers` says, one after the other; the last one again and again."""

    answers: list[Answer]
    keys: list[str]

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["content-length"]))
        self.keys.append(self.headers["idempotency-key"])
        assert json.loads(body).get("requestId", self.headers["idempotency-key"]) == self.headers["idempotency-key"]
        status, headers, answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(answer)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@contextmanager
def broken(*answers: Answer) -> Iterator[tuple[str, list[str]]]:
    """Yield where it listens, and the idempotency keys that came."""
    keys: list[str] = []
    with listening(type("Handler", (Broken,), {"answers": list(answers), "keys": keys})) as address:
        yield address, keys


@contextmanager
def listening(handler: type[BaseHTTPRequestHandler]) -> Iterator[str]:
    """Yield where it listens."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def refusal(code: int, reason: str, **metadata: str) -> bytes:
    info = {"@type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": reason, "metadata": metadata}
    return json.dumps({"code": code, "message": "no", "details": [info]}).encode()


DOWN: Answer = (503, {}, b"<html>upstream</html>")
MADE: Answer = (200, {"content-type": "application/json"}, b'{"images": [], "generationId": "g"}')


def stream(*events: dict[str, Any]) -> Answer:
    return (
        200,
        {"content-type": "text/event-stream"},
        b"".join(b"data: %s\n\n" % json.dumps(e).encode() for e in events),
    )


@needs_node
def test_an_outage_is_retried_under_one_key() -> None:
    with broken(DOWN, DOWN, MADE) as (address, keys):
        assert node(address, "t", "generate") == []
    assert len(keys) == 3
    assert len(set(keys)) == 1


@needs_node
def test_the_budget_ends_retries_and_the_error_names_the_key() -> None:
    with broken(DOWN) as (address, keys):
        error = node(address, "t", "fail")
    assert (len(keys), error["name"], error["idempotencyKey"]) == (4, "UnavailableError", keys[0])


@needs_node
@pytest.mark.parametrize(
    "answer",
    [
        (503, {}, refusal(14, "PROVIDER_UNAVAILABLE", outcome="unknown", generationId="g1")),
        (503, {"retry-after": "600"}, refusal(14, "STORAGE_UNAVAILABLE", generationId="g1")),
        (429, {}, refusal(8, "QUOTA_EXCEEDED", generationId="g1")),
    ],
    ids=["an unknown outcome", "a long wait", "a quota"],
)
def test_what_would_end_the_same_is_asked_once(answer: Answer) -> None:
    with broken(answer) as (address, keys):
        assert node(address, "t", "fail")["generationId"] == "g1"
    assert len(keys) == 1


@needs_node
def test_a_stream_that_breaks_is_taken_up_again_and_tells_nothing_twice() -> None:
    queued, image = {"queued": {"generationId": "g"}}, {"image": {"id": "i"}}
    done = {"completed": {"generationId": "g", "state": "SUCCEEDED", "images": []}}
    with broken(stream(queued, image), stream(queued, image, done)) as (address, keys):
        assert node(address, "t", "run") == ["queued", "image", "completed"]
    assert len(set(keys)) == 1
    assert len(keys) == 2


@needs_node
def test_a_task_that_failed_throws_after_its_end() -> None:
    error = json.loads(refusal(3, "CONTENT_REJECTED"))
    failed = {"completed": {"generationId": "g", "state": "FAILED", "images": [], "error": error}}
    with broken(stream({"queued": {"generationId": "g"}}, failed)) as (address, keys):
        told = node(address, "t", "failRun")
    assert (told["name"], told["generationId"], len(keys)) == ("ContentRejectedError", "g", 1)


@needs_node
def test_leaving_the_loop_closes_the_connection() -> None:
    with listening(type("Handler", (Endless,), {"left": threading.Event()})) as address:
        assert node(address, "t", "leave") is True


@needs_node
def test_the_deadline_ends_a_stream_and_tells_where_its_pictures_are() -> None:
    with listening(type("Handler", (Endless,), {"left": threading.Event()})) as address:
        error = node(address, "t", "late")
    assert (error["name"], error["generationId"]) == ("DeadlineExceededError", "g")
    assert error["idempotencyKey"]
