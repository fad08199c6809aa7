"""The service on SQLite, with the bytes in memory."""

from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from limner.domain.task import Operation
from limner.imaging.codec import PillowCodec
from limner.imaging.derivatives import PillowDeriver
from limner.service.caller import Caller, Role
from limner.service.catalogue import Catalogue
from limner.service.clock import utc_now
from limner.service.contents import Contents
from limner.service.drafts import TaskDraft
from limner.service.library import ImageLibrary
from limner.service.stores import Stores
from limner.service.tasks import Asked, Rules, TaskRunner
from limner.storage.spool import FileSpool
from tests.real_parts.databases import migrated_sqlite
from tests.unit.service.scripted import FlakyBlobStore, FlakyRepository, Scripted

WORKSPACE = "acme"
ADA = Caller(user_id="ada", workspaces={WORKSPACE: Role.MEMBER})
BOB = Caller(user_id="bob", workspaces={WORKSPACE: Role.MEMBER})


@dataclass
class World:
    """A worker's parts, and more workers on the same database when a test needs them."""

    repository: FlakyRepository
    blobs: FlakyBlobStore
    stores: Stores
    contents: Contents
    spool: Path
    """Where paid pictures wait, and where those lie that can't be shown."""
    model: Scripted = field(default_factory=Scripted)
    skipped: timedelta = timedelta()

    @property
    def library(self) -> ImageLibrary:
        return ImageLibrary(self.stores)

    def time_passes(self, time: timedelta) -> None:
        """Set the clock of the service forward."""
        self.skipped += time

    def runner(self, model: Scripted | None = None, *, worker_id: str = "worker", **options: Any) -> TaskRunner:
        dead_workers: Callable[[], list[str]] = options.pop("dead_workers", list)
        catalogue = Catalogue([model or self.model], dict.fromkeys(Operation, "scripted"))
        rules = Rules(**{"max_in_flight": 4, **options})
        return TaskRunner(catalogue, self.stores, rules, worker_id=worker_id, dead_workers=dead_workers)


def asked(operation: Operation = Operation.GENERATE, *, caller: Caller = ADA, **draft: Any) -> Asked:
    """A task call with as little as it needs."""
    fields = {"operation": operation, "prompt": "" if operation is Operation.UPSCALE else "a fox", **draft}
    return Asked(caller=caller, workspace_id=WORKSPACE, draft=TaskDraft(**fields))


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    url = migrated_sqlite(tmp_path)
    repository, blobs = FlakyRepository(url), FlakyBlobStore()
    (tmp_path / "spool").mkdir()
    stores = Stores(
        repository=repository,
        blobs=blobs,
        spool=FileSpool(tmp_path / "spool", goes_first=False, max_bytes=1 << 30),
        codec=PillowCodec(threads=1, queue=16),
        clock=lambda: utc_now() + made.skipped,
    )
    contents = Contents(stores, PillowDeriver(threads=1))
    made = World(repository, blobs, stores, contents, tmp_path / "spool")
    yield made
    contents.close()
    await stores.close()
