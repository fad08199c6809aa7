"""Fifty callers of OpenAI's door with pictures of 8 MiB: base64 leaves in pieces, and is never whole anywhere."""

import subprocess
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from tempfile import TemporaryDirectory

import httpx
import pytest

from limner.domain.limits import MIB
from tests.e2e.providers import Catalogue, service_with
from tests.e2e.test_memory import peak_memory
from tests.service import WORKSPACE, Service
from tests.web.openai.clients import base_url

CALLERS = 50
PICTURE_BYTES = 8 * MIB
BOUND_BYTES = 500 * MIB


@pytest.fixture(scope="module")
def provider() -> Iterator[str]:
    """OpenAI in a process of its own, which makes pictures of 8 MiB."""
    options = ["--picture-bytes", str(PICTURE_BYTES), "--delay-s", "1"]
    command = [sys.executable, "-m", "tests.fakes.openai", *options]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as fake:
        assert fake.stdin and fake.stdout
        yield fake.stdout.readline().strip()
        fake.stdin.close()


@pytest.fixture(scope="module")
def service(provider: str) -> Iterator[Service]:
    """A service whose files are gone in the end."""
    catalogue = Catalogue()
    settings = {"adapter": "openai", "base_url": provider, "upstream_model": "gpt-image-2"}
    catalogue.add("large", settings | {"api_key_env": "FAKE_OPENAI"})
    with TemporaryDirectory() as folder, service_with(catalogue, Path(folder)) as service:
        yield service


@pytest.mark.timeout(180)
@pytest.mark.parametrize("stream", [False, True])
def test_fifty_callers_with_pictures_of_8_mib_stay_within_bounds(
    service: Service, tell: Callable[[str], None], stream: bool
) -> None:
    headers = {"authorization": f"Bearer {service.token()}"}
    address = f"{base_url(service, WORKSPACE)}/images/generations"

    def received(_: int) -> int:
        """The length of one answer, which is not kept."""
        body = {"prompt": "a heron", "stream": stream}
        with httpx.stream("POST", address, json=body, headers=headers, timeout=170) as response:
            assert response.status_code == 200
            return sum(len(chunk) for chunk in response.iter_raw())

    with peak_memory(service) as peak, ThreadPoolExecutor(CALLERS) as callers:
        lengths = list(callers.map(received, range(CALLERS)))

    assert min(lengths) > PICTURE_BYTES * 4 // 3
    tell(f"{peak[0] / MIB:.0f} MiB at most")
    assert peak[0] < BOUND_BYTES
