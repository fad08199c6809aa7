"""The two gateways that pictures can be bought through as well, each installed into a folder of its own: ``.bench/``.

Both hand the provider's answer on and keep nothing. One worker each: Portkey's is one Node process.
"""

import json
import os
import shutil
import subprocess
import tempfile
import time
import urllib.error
import urllib.request
import venv
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import psutil

from tests.fakes.openai import KEY
from tests.real_parts.ports import held_port

LITELLM: Final = "litellm[proxy]==1.108.7"
PORTKEY: Final = "@portkey-ai/gateway@1.15.2"
MODEL: Final = "gpt-image-2"
"""What the provider is asked for."""
_FOLDER: Final = Path(".bench").resolve()
_MASTER_KEY: Final = "sk-of-the-benchmark"
_LONGEST_START_S: Final = 180


class Peer:
    """A gateway that runs."""

    def __init__(self, url: str, process: psutil.Process, providers: Mapping[str, str], *, routes: bool) -> None:
        self.url = f"{url}/v1/images/generations"
        self.process = process
        self._providers = providers
        self._routes = routes

    def model(self, name: str) -> str:
        """Return what a caller asks this gateway for."""
        return MODEL if self._routes else name

    def headers(self, name: str) -> Mapping[str, str]:
        """Return the headers of a call for the provider of this name."""
        if not self._routes:
            return {"authorization": f"Bearer {_MASTER_KEY}"}
        portkey = {"x-portkey-provider": "openai", "x-portkey-custom-host": self._providers[name]}
        return {"authorization": f"Bearer {KEY}", **portkey}


@contextmanager
def litellm(providers: Mapping[str, str]) -> Iterator[Peer]:
    """Run LiteLLM's proxy, with a model for each provider: its name and its base URL."""
    models = [
        {"model_name": name, "litellm_params": {"model": f"openai/{MODEL}", "api_base": url, "api_key": KEY}}
        for name, url in providers.items()
    ]
    with tempfile.TemporaryDirectory() as folder, held_port() as port:
        config = Path(folder, "config.yaml")
        config.write_text(json.dumps({"model_list": models}))  # which is YAML, too
        command = [installed_litellm(), "--config", str(config), "--port", str(port), "--num_workers", "1"]
        # The prices come from the package, not from its vendor's repository.
        settings = {"LITELLM_MASTER_KEY": _MASTER_KEY, "LITELLM_LOCAL_MODEL_COST_MAP": "True"}
        url = f"http://127.0.0.1:{port}"
        with _started(command, settings, f"{url}/health/liveliness") as process:
            yield Peer(url, process, providers, routes=False)


@contextmanager
def portkey(providers: Mapping[str, str]) -> Iterator[Peer]:
    """Run Portkey's gateway, which is told the provider by each call."""
    with held_port() as port:
        url = f"http://127.0.0.1:{port}"
        command = ["node", installed_portkey(), f"--port={port}", "--headless"]
        with _started(command, {"NODE_ENV": "production"}, f"{url}/") as process:
            yield Peer(url, process, providers, routes=True)


@contextmanager
def _started(command: Sequence[str], settings: Mapping[str, str], url: str) -> Iterator[psutil.Process]:
    with (
        tempfile.NamedTemporaryFile("w+") as log,
        subprocess.Popen(command, stdout=log, stderr=log, env=os.environ | settings) as process,
    ):
        try:
            _wait_for(url, process, Path(log.name))
            yield psutil.Process(process.pid)
        finally:
            process.terminate()


def _wait_for(url: str, process: "subprocess.Popen[bytes]", log: Path) -> None:
    latest = time.monotonic() + _LONGEST_START_S
    while process.poll() is None and time.monotonic() < latest:
        try:
            urllib.request.urlopen(url, timeout=5).close()
        except (urllib.error.URLError, ConnectionError, TimeoutError):
            time.sleep(0.2)
        else:
            return
    raise RuntimeError(log.read_text())


def installed_litellm() -> str:
    """Return LiteLLM's command, installed where this release is not."""
    folder = _installed("litellm", LITELLM, _install_litellm)
    return str(folder / "bin" / "litellm")


def _install_litellm(folder: Path) -> None:
    venv.create(folder, with_pip=True)
    pip = [str(folder / "bin" / "python"), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    subprocess.run([*pip, LITELLM], check=True)


def installed_portkey() -> str:
    """Return the program of Portkey's gateway, installed where this release is not."""
    folder = _installed("portkey", PORTKEY, _install_portkey)
    return str(folder / "node_modules" / "@portkey-ai" / "gateway" / "build" / "start-server.js")


def _install_portkey(folder: Path) -> None:
    folder.mkdir(parents=True)
    npm = ["npm", "install", "--silent", "--no-fund", "--no-audit", "--prefix", str(folder)]
    subprocess.run([*npm, PORTKEY], check=True)


def _installed(name: str, release: str, install: Callable[[Path], None]) -> Path:
    folder = _FOLDER / name
    mark = folder / "release"
    if not mark.exists() or mark.read_text() != release:
        shutil.rmtree(folder, ignore_errors=True)
        install(folder)
        mark.write_text(release)
    return folder
