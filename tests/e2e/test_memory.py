"""Fifty callers with pictures of 20 MiB: what the whole service takes of the machine's memory."""

import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import psutil
import pytest
from google.api.httpbody_pb2 import HttpBody
from imageservice.v1 import image_service_pb2 as pb

from limner.domain.limits import MAX_UPLOAD_BYTES, MIB
from tests.e2e.providers import Catalogue, service_with
from tests.pictures import chunk, png
from tests.service import Service
from tests.tenant import Tenant, tenant_of

CALLERS = 50
BOUND_BYTES = 1536 * MIB
PROVIDER_S = 1.0
"""How long the provider works before it answers: long enough for all callers to wait side by side."""
LARGE = png(after=chunk(b"prVt", bytes(MAX_UPLOAD_BYTES - len(png()) - 12)))


@pytest.fixture(scope="module")
def provider() -> Iterator[str]:
    """OpenAI in a process of its own, which makes pictures of 20 MiB."""
    options = ["--picture-bytes", str(MAX_UPLOAD_BYTES), "--delay-s", str(PROVIDER_S)]
    command = [sys.executable, "-m", "tests.fakes.openai", *options]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as fake:
        assert fake.stdin and fake.stdout
        yield fake.stdout.readline().strip()
        fake.stdin.close()


@pytest.fixture(scope="module")
def large_service(provider: str) -> Iterator[Service]:
    """A service whose files, 2 GiB of them, are gone in the end."""
    catalogue = Catalogue()
    settings = {"adapter": "openai", "base_url": provider, "upstream_model": "gpt-image-2"}
    catalogue.add("large", settings | {"api_key_env": "FAKE_OPENAI"})
    with TemporaryDirectory() as folder, service_with(catalogue, Path(folder)) as service:
        yield service


@contextmanager
def peak_memory(service: Service) -> Iterator[list[int]]:
    """Look at the resident memory of all processes together, again and again; the list has its largest sum."""
    root, peak, done = psutil.Process(service.process.pid), [0], threading.Event()

    def look() -> None:
        while not done.wait(0.02):
            with suppress(psutil.Error):  # a process may end while it is looked at
                processes = [root, *root.children(recursive=True)]
                peak[0] = max(peak[0], sum(each.memory_info().rss for each in processes))

    thread = threading.Thread(target=look)
    thread.start()
    try:
        yield peak
    finally:
        done.set()
        thread.join()


def call_all(method: Callable[..., Any], request: Any, tenant: Tenant) -> int:
    """Call as many times at once as there are callers, and return how many pictures came."""
    metadata = tenant.metadata()
    with ThreadPoolExecutor(CALLERS) as callers:
        answers = callers.map(lambda _: method(request, metadata=metadata), range(CALLERS))
        return sum(len(answer.images) for answer in answers)


@pytest.mark.timeout(180)
def test_fifty_callers_with_pictures_of_20_mib_in_and_out_stay_within_bounds(large_service: Service) -> None:
    with tenant_of(large_service) as tenant:
        upload = pb.UploadImageRequest(workspace_id=tenant.id, picture=HttpBody(data=LARGE))
        source = tenant.stub.UploadImage(upload, metadata=tenant.metadata())
        generate = pb.GenerateImagesRequest(workspace_id=tenant.id, prompt="a heron", model_id="large")
        edit = pb.EditImagesRequest(workspace_id=tenant.id, prompt="a heron", model_id="large", image_ids=[source.id])
        with peak_memory(large_service) as generating:
            assert call_all(tenant.stub.GenerateImages, generate, tenant) == CALLERS
        with peak_memory(large_service) as editing:
            assert call_all(tenant.stub.EditImages, edit, tenant) == CALLERS
    assert max(generating + editing) < BOUND_BYTES, f"{generating[0] / MIB:.0f} and {editing[0] / MIB:.0f} MiB"


@pytest.mark.timeout(180)
def test_fifty_uploads_of_20_mib_at_once_stay_within_bounds(large_service: Service) -> None:
    with tenant_of(large_service) as tenant:
        upload = pb.UploadImageRequest(workspace_id=tenant.id, picture=HttpBody(data=LARGE))
        metadata = tenant.metadata()
        with ThreadPoolExecutor(CALLERS) as callers:
            with peak_memory(large_service) as over_grpc:
                answers = callers.map(lambda _: tenant.stub.UploadImage(upload, metadata=metadata), range(CALLERS))
                assert sum(answer.image_size for answer in answers) == CALLERS * len(LARGE)
            with peak_memory(large_service) as over_rest:
                statuses = callers.map(lambda _: posted(large_service, tenant), range(CALLERS))
                assert set(statuses) == {200}
    assert max(over_grpc) < BOUND_BYTES / 2, f"{over_grpc[0] / MIB:.0f} MiB"
    assert max(over_rest) < BOUND_BYTES, f"{over_rest[0] / MIB:.0f} MiB"


def posted(service: Service, tenant: Tenant) -> int:
    """Post the picture over a connection of its own, and return the status."""
    with service.rest() as client:
        headers = {"content-type": "image/png", "authorization": dict(tenant.metadata())["authorization"]}
        path = f"/v1/workspaces/{tenant.id}/images"
        return client.post(path, content=LARGE, headers=headers, timeout=170).status_code
