"""The service's description and its page, for anybody, and from nowhere else."""

import gzip
import hashlib
import json
import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from importlib import resources
from pathlib import Path
from tempfile import TemporaryDirectory

import httpx
import pytest

from limner.web.reference import CONTENT_SECURITY_POLICY
from tests.service import Service

SWAGGER = Path(str(resources.files("limner.web.reference"))) / "swagger_ui"
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")


@pytest.fixture
def client(service: Service) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=f"http://{service.http_address}") as client:
        yield client


@pytest.mark.parametrize("encoding", ["gzip", "identity"])
def test_the_description_is_open_to_anybody(client: httpx.Client, encoding: str) -> None:
    response = client.get("/openapi.json", headers={"accept-encoding": encoding})

    assert response.headers["content-type"] == "application/json"
    assert response.headers.get("content-encoding", "identity") == encoding
    assert response.json() == json.loads(resources.files("imageservice").joinpath("openapi.json").read_text())


@pytest.mark.parametrize("encoding", ["gzip", "identity"])
@pytest.mark.parametrize("path", ["/docs", "/docs/start.js", "/docs/swagger-ui.css", "/docs/swagger-ui-bundle.js"])
def test_the_page_may_load_nothing_from_elsewhere(client: httpx.Client, path: str, encoding: str) -> None:
    response = client.get(path, headers={"accept-encoding": encoding})

    assert response.status_code == 200
    assert response.headers["content-security-policy"] == CONTENT_SECURITY_POLICY
    assert "http" not in CONTENT_SECURITY_POLICY
    assert "unsafe" not in CONTENT_SECURITY_POLICY
    assert response.content


def test_the_page_holds_no_script_and_no_address_of_its_own(client: httpx.Client) -> None:
    page = client.get("/docs").text

    assert "://" not in page
    assert re.findall(r"<script[^>]*>([^<]*)</script>", page) == ["", ""]


def test_the_files_are_those_of_the_package_that_was_looked_at() -> None:
    package, version, integrity = (SWAGGER / "VERSION").read_text().split()
    digests = {
        each.name: hashlib.sha256(gzip.decompress(each.read_bytes())).hexdigest() for each in SWAGGER.glob("*.gz")
    }

    assert (package, version) == ("swagger-ui-dist", "5.35.0")
    assert integrity.startswith("sha512-")
    assert digests == {
        "swagger-ui-bundle.js.gz": "e6a898692f2d768e807c3ba4626068a69a2c5dd960dd6c76f3e4d3a3de180af2",
        "swagger-ui.css.gz": "5ed08757e53da3e026d6cbecc61fe5d43585c9560b302d534ad56692519a273d",
    }
    assert "Apache License" in (SWAGGER / "LICENSE").read_text()


@pytest.mark.skipif(CHROMIUM is None, reason="there is no Chromium")
def test_a_browser_draws_the_reference_and_asks_no_other_host(service: Service) -> None:
    with TemporaryDirectory() as folder:
        log = Path(folder) / "net.json"
        command = [
            str(CHROMIUM),
            "--headless",
            "--no-sandbox",
            "--disable-gpu",
            "--disable-dev-shm-usage",
            f"--user-data-dir={folder}/profile",
            f"--log-net-log={log}",
            "--virtual-time-budget=10000",
            "--dump-dom",
            f"http://{service.http_address}/docs",
        ]
        environment = {"PATH": os.environ["PATH"], "HOME": folder}
        page = subprocess.run(command, capture_output=True, text=True, timeout=90, env=environment).stdout
        asked = set(re.findall(r'"url":"(https?://[^"/]+)', log.read_text()))

    assert "image-generation-tasks" in page
    assert page.count("opblock-summary-path") > 10
    assert {url for url in asked if not is_the_browsers_own(url)} == {f"http://{service.http_address}"}


def is_the_browsers_own(url: str) -> bool:
    """Whether the browser asks this whatever page it shows: its updates and its vendor's services."""
    return re.fullmatch(r"https?://[\w.-]*\.(google|googleapis|gstatic|gvt1)\.com(:\d+)?", url) is not None
