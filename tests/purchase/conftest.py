"""Services with one worker or two, on both kinds of database, in front of a provider that keeps a ledger."""

import asyncio
import shutil
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import grpc
import pytest
from google.protobuf import json_format
from google.rpc import error_details_pb2, status_pb2
from imageservice.v1 import image_service_pb2 as pb

from limner.auth.local_key import LocalKey
from limner.settings import Settings
from tests.purchase.books import Books, audit, execute
from tests.purchase.provider import Provider, running_provider
from tests.purchase.serving import Replica
from tests.real_parts.databases import migrated_postgres, migrated_sqlite
from tests.real_parts.gcs import fake_gcs, make_bucket

WORKSPACE = "acme"
USER = "ada"
GONE = (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.CANCELLED)
KNOWN_JOB = "SELECT 1 FROM submissions WHERE provider_job_id IS NOT NULL"
"""Finds something when a provider's id of the work is kept."""


@dataclass
class Site:
    """One installation: its replicas, its provider, and what its callers were told."""

    folder: Path
    provider: Provider
    settings: dict[str, str] = field(default_factory=dict)
    replicas: list[Replica] = field(default_factory=list)
    acknowledged: set[str] = field(default_factory=set)

    def add_replica(self, name: str = "data") -> Replica:
        """A worker more. Those with the same name share a machine: its spool, and who is seen to be dead."""
        folder = self.folder / name
        self._share_key(folder)
        if "LIMNER_DATABASE_URL" not in self.settings and not (folder / "limner.db").exists():
            migrated_sqlite(folder)
        self.replicas.append(Replica(folder, self.settings, self.provider.url))
        return self.replicas[-1]

    async def generate(
        self,
        replica: Replica,
        prompt: str,
        *,
        key: str = "",
        workspace: str = WORKSPACE,
        timeout_s: float = 30,
        **facts: Any,
    ) -> pb.GenerateImagesResponse:
        """Ask for pictures, and note those that came."""
        metadata = facts.pop("metadata", {})
        request = pb.GenerateImagesRequest(
            workspace_id=workspace, prompt=prompt, request_id=key or None, **{"model_id": "direct", **facts}
        )
        answer = await replica.stub.GenerateImages(
            request, metadata=replica.metadata(USER, workspace, **metadata), timeout=timeout_s, wait_for_ready=True
        )
        self.acknowledged.update(image.id for image in answer.images)
        return answer

    async def generation(self, replica: Replica, generation_id: str, *, workspace: str = WORKSPACE) -> Any:
        request = pb.GetGenerationRequest(workspace_id=workspace, generation_id=generation_id)
        return await replica.stub.GetGeneration(request, metadata=replica.metadata(USER, workspace))

    async def cancel(self, replica: Replica, generation_id: str, *, workspace: str = WORKSPACE) -> Any:
        request = pb.CancelGenerationRequest(workspace_id=workspace, generation_id=generation_id)
        return await replica.stub.CancelGeneration(request, metadata=replica.metadata(USER, workspace), timeout=30)

    async def usage(self, replica: Replica, *, workspace: str = WORKSPACE) -> dict[str, Any]:
        request = pb.GetUsageRequest(workspace_id=workspace)
        answer = await replica.stub.GetUsage(request, metadata=replica.metadata(USER, workspace))
        return json_format.MessageToDict(answer, always_print_fields_with_no_presence=True)

    @property
    def sold(self) -> Counter[tuple[str, int]]:
        """What is on the provider's bill, by prompt and picture."""
        return self.provider.sold

    def bought(self, prompt: str) -> int:
        """How many pictures of a prompt are on the bill."""
        return sum(count for (of, _), count in self.sold.items() if of == prompt)

    @property
    def stored_settings(self) -> Settings:
        """By which everything that is kept can be found."""
        return Settings.read({"LIMNER_DATA_DIR": str(self.replicas[0].data_dir), **self.settings})

    def execute(self, statement: str) -> list[Any]:
        """Run a statement on the service's database, beside the service; return the rows of a query."""
        return execute(self.stored_settings, statement)

    async def until(self, query: str) -> None:
        """Wait until a query on the service's database finds something."""
        async with asyncio.timeout(30):
            while not self.execute(query):  # noqa: ASYNC110 - nobody tells
                await asyncio.sleep(0.05)

    async def audited(self, of: str = "") -> Books:
        """Let all replicas end, and check the books: those of one prompt, where others share the provider."""
        for replica in self.replicas:
            await replica.stop()
        sold = Counter({what: count for what, count in self.sold.items() if of in ("", what[0])})
        return await audit(self.stored_settings, sold, acknowledged=self.acknowledged)

    def _share_key(self, folder: Path) -> None:
        """All replicas accept the tokens of the first."""
        folder.mkdir(exist_ok=True)
        first = self.replicas[0].data_dir if self.replicas else folder
        LocalKey.of_directory(first)
        if folder != first:
            shutil.copy(first / "local-key.pem", folder)


@pytest.fixture
async def provider() -> AsyncIterator[Provider]:
    async with running_provider() as provider:
        yield provider


@pytest.fixture(scope="session")
def bucket(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of an emulator with the bucket ``purchases``."""
    with fake_gcs(tmp_path_factory.mktemp("gcs")) as emulator:
        make_bucket(emulator, "purchases")
        yield emulator


@pytest.fixture
def embedded(tmp_path: Path, provider: Provider) -> Site:
    """SQLite and files."""
    return Site(tmp_path, provider)


@pytest.fixture
def hosted(tmp_path: Path, provider: Provider, bucket: str, monkeypatch: pytest.MonkeyPatch) -> Site:
    """PostgreSQL and Google Cloud Storage, on a machine of its own: who is seen to be dead is seen once."""
    folder = tmp_path / "hosted"
    folder.mkdir()
    monkeypatch.setenv("STORAGE_EMULATOR_HOST", bucket)  # for the audit, which reads the bucket too
    settings = {
        "LIMNER_DATABASE_URL": migrated_postgres(),
        "LIMNER_STORAGE": f"gs://purchases/{tmp_path.name}",
        "STORAGE_EMULATOR_HOST": bucket,
    }
    return Site(folder, provider, settings)


@pytest.fixture(params=["embedded", "hosted"], ids=["sqlite and files", "postgresql and gcs"])
def site(request: pytest.FixtureRequest) -> Site:
    site: Site = request.getfixturevalue(request.param)
    return site


def reason_of(error: grpc.aio.AioRpcError) -> error_details_pb2.ErrorInfo:
    """What an error says it is; empty when the service did not say it."""
    info = error_details_pb2.ErrorInfo()
    for name, value in error.trailing_metadata() or ():
        if name == "grpc-status-details-bin":
            for detail in status_pb2.Status.FromString(value).details:
                if detail.Is(info.DESCRIPTOR):
                    detail.Unpack(info)
    return info
