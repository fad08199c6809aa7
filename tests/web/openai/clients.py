"""OpenAI's SDKs in front of the real service, as users have them."""

import base64
import io
import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import openai
import pytest
from openai.types import ImagesResponse
from PIL import Image

from tests.service import WORKSPACE, Service
from tests.tenant import Tenant

NODE_TESTS = Path(__file__).resolve().parents[2] / "node"


def base_url(service: Service, workspace: str) -> str:
    return f"http://{service.http_address}/v1/workspaces/{workspace}/openai"


def sdk(tenant: Tenant, user: str = "ada", **options: Any) -> openai.OpenAI:
    token = tenant.metadata(user)[0][1].removeprefix("Bearer ")
    return _opened(openai.OpenAI(api_key=token, base_url=base_url(tenant.service, tenant.id), **options))


def sdk_of(service: Service, **options: Any) -> openai.OpenAI:
    return _opened(openai.OpenAI(api_key=service.token(), base_url=base_url(service, WORKSPACE), **options))


_OPEN: list[openai.OpenAI] = []


def _opened(client: openai.OpenAI) -> openai.OpenAI:
    _OPEN.append(client)
    return client


def close_all() -> None:
    """Close what a test opened: the SDK leaves its connections to the garbage collector."""
    while _OPEN:
        _OPEN.pop().close()


def node(
    service: Service, workspace: str, token: str, action: str, picture: Path | None = None, prompt: str = ""
) -> Any:
    """What `images.mjs` prints for an action."""
    if shutil.which("node") is None or not (NODE_TESTS / "node_modules").exists():
        pytest.skip("Node and its packages are not there")
    command = ["node", "images.mjs", base_url(service, workspace), token, action, str(picture or "")]
    environment = {"PATH": "/usr/local/bin:/usr/bin:/bin", "PROMPT": prompt}
    done = subprocess.run(command, cwd=NODE_TESTS, capture_output=True, text=True, timeout=90, env=environment)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def ids_of(answer: ImagesResponse) -> list[str]:
    return [str(each.id) for each in answer.data or []]  # type: ignore[attr-defined]  # ours, beside what the SDK knows


def picture_of(b64_json: str | None) -> Image.Image:
    """The picture, decoded whole."""
    image = Image.open(io.BytesIO(base64.b64decode(b64_json or "")))
    image.load()
    return image
