"""The service is killed off the usual way of a generation: refused, cancelled, taken over, held up, told, swept."""

import asyncio
import hashlib
import os
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import grpc
import pytest
from imageservice.v1 import image_service_pb2 as pb

from limner.app import build_stores, prepare
from limner.domain.identifiers import first_id_at
from limner.domain.image import Image, OutputFormat
from limner.service.clock import utc_now
from limner.service.failpoints import NAMES, VARIABLE
from limner.service.ports import BlobNotFoundError
from limner.settings import Settings
from tests.pictures import png
from tests.purchase.books import audit
from tests.purchase.conftest import KNOWN_JOB, USER, WORKSPACE, Site, reason_of
from tests.purchase.receiver import Receiver, running_receiver
from tests.purchase.serving import Replica, running
from tests.purchase.test_crash import FATES, MADE, death, outcome

CANCELLED = 4
PURGED = "SELECT 1 WHERE NOT EXISTS (SELECT 1 FROM images WHERE deleted_at IS NOT NULL AND purged_at IS NULL)"
LATER = {"prefer": "respond-async"}
POINTS = {
    "submission-voided",
    "cancel-kept",
    "job-cancelled",
    "taken-over",
    "picture-delivered",
    "webhook-sent",
    "upload-stored",
    "images-deleted",
    "bytes-purged",
    "orphan-deleted",
    "picture-mended",
    "derivative-stored",
    "variants-deleted",
}
"""Each has a test here that is named after it."""


def test_every_point_is_tried() -> None:
    tried = {name for name in globals() if name.startswith("test_")}
    assert all(any(point.replace("-", "_") in name for name in tried) for point in POINTS)
    assert set(NAMES) - set(FATES) == POINTS


@pytest.mark.parametrize("model", ["direct", "queue"])
async def test_submission_voided(site: Site, model: str) -> None:
    """The provider refused: whoever takes over may ask it again."""
    workers = 2 if site.settings else 1
    await death(site, "a fox [[fault:busy*1]]", "submission-voided", model, MADE, workers=workers)


@pytest.mark.parametrize("point", ["cancel-kept", "job-cancelled"])
async def test_cancel_kept_and_job_cancelled(site: Site, point: str) -> None:
    """Who takes over does not go on with what somebody cancelled; what was withdrawn in time is not billed."""
    replica, prompt = site.add_replica(), "a fox [[fault:slow=30]]"
    async with running(replica, failpoint=point):
        begun = await site.generate(replica, prompt, key="key", model_id="queue", metadata=LATER)
        await site.until(KNOWN_JOB)
        with pytest.raises(grpc.aio.AioRpcError):
            await site.cancel(replica, begun.generation_id)
        assert await replica.ended() == -9
        await replica.start()

        assert (await ended(site, replica, begun.generation_id)).state == CANCELLED
        assert (await site.cancel(replica, begun.generation_id)).state == CANCELLED

        await site.audited()
    assert site.bought(prompt) == 0


@pytest.mark.parametrize("model", ["direct", "queue"])
async def test_taken_over(site: Site, model: str) -> None:
    """Two deaths in a row: a worker's, and that of the one who had just taken over."""
    replica, first = site.add_replica(), "job-accepted" if model == "queue" else "picture-stored"
    async with running(replica, failpoint=first):
        asking = asyncio.create_task(outcome(site, replica, "a fox", "key", model))
        assert await replica.ended() == -9
        await replica.start(**{VARIABLE: "taken-over"})
        assert await replica.ended() == -9
        await replica.start()

        assert await asking == MADE

        await site.audited()
    assert site.bought("a fox") == 1


@pytest.mark.parametrize("model", ["direct", "queue"])
async def test_picture_delivered(embedded: Site, tmp_path: Path, model: str) -> None:
    """It lies in the spool and in the store now, and is shown once."""
    folder, away = tmp_path / "pictures", tmp_path / "away"
    embedded.settings["LIMNER_STORAGE"] = str(folder)
    replica = embedded.add_replica()
    async with running(replica, failpoint="picture-delivered"):
        folder.rename(away)
        with pytest.raises(grpc.aio.AioRpcError) as held_up:
            await embedded.generate(replica, "a fox", key="key", model_id=model)
        assert reason_of(held_up.value).reason == "STORAGE_UNAVAILABLE"
        away.rename(folder)
        assert await replica.ended() == -9
        await replica.start()

        assert await outcome(embedded, replica, "a fox", "key", model) == MADE

        await embedded.audited()
    assert embedded.bought("a fox") == 1


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with running_receiver() as receiver:
        yield receiver


async def test_webhook_sent(site: Site, receiver: Receiver) -> None:
    """At least once: nobody knows that it was told, so it is told again, under the same id."""
    site.settings |= receiver.settings(site.folder, WORKSPACE)
    replica = site.add_replica()
    async with running(replica, failpoint="webhook-sent"):
        await site.generate(replica, "a fox", key="key", metadata=LATER)
        assert await replica.ended() == -9
        site.execute("UPDATE webhook_deliveries SET next_attempt_at = '2026-01-01 00:00:00.000000'")
        await replica.start()

        first, second = await asyncio.to_thread(receiver.wait, WORKSPACE, 2, within_s=20)

        assert receiver.verified(first) == receiver.verified(second)
        assert first.headers["webhook-id"] == second.headers["webhook-id"]
        await site.audited()


async def test_upload_stored(site: Site) -> None:
    """Bytes that no row shows are found by the sweep."""
    replica = site.add_replica()
    async with running(replica, failpoint="upload-stored"):
        request = pb.UploadImageRequest(workspace_id=WORKSPACE)
        request.picture.data = png()
        with pytest.raises(grpc.aio.AioRpcError):
            await replica.stub.UploadImage(request, metadata=replica.metadata(USER, WORKSPACE), wait_for_ready=True)
        assert await replica.ended() == -9
        await replica.start()
        await site.audited()


@pytest.mark.parametrize("point", ["images-deleted", "bytes-purged"])
async def test_images_deleted_and_bytes_purged(site: Site, point: str) -> None:
    """A deletion that was cut off is finished."""
    replica = site.add_replica()
    async with running(replica, failpoint=point):
        answer = await site.generate(replica, "a fox")
        request = pb.DeleteImageRequest(workspace_id=WORKSPACE, image_id=answer.images[0].id)
        with pytest.raises(grpc.aio.AioRpcError):
            await replica.stub.DeleteImage(request, metadata=replica.metadata(USER, WORKSPACE))
        assert await replica.ended() == -9
        await replica.start()
        await site.until(PURGED)
        await site.audited()


def test_orphan_deleted(tmp_path: Path) -> None:
    settings = prepared(tmp_path)
    orphans = [old_id(number) for number in range(3)]
    asyncio.run(put(settings, *orphans))
    assert repair(settings, "orphan-deleted").returncode == -9
    assert "2 pictures without a row were deleted" in repair(settings).stdout
    asyncio.run(audit(settings, Counter()))


def test_picture_mended(tmp_path: Path) -> None:
    """A row whose bytes lie in the spool alone."""
    settings, image_id = prepared(tmp_path), old_id(0)
    asyncio.run(keep_row(settings, image_id))
    assert repair(settings, "picture-mended").returncode == -9
    again = repair(settings)
    assert "1 stored pictures looked at" in again.stdout
    assert "lost" not in again.stdout
    asyncio.run(audit(settings, Counter()))


async def test_derivative_stored(site: Site) -> None:
    """A derivative that was made is handed out by whoever is asked next."""
    replica = site.add_replica()
    async with running(replica, failpoint="derivative-stored"):
        answer = await site.generate(replica, "a fox")
        request = pb.GetImageContentRequest(workspace_id=WORKSPACE, image_id=answer.images[0].id, format="webp")
        metadata = replica.metadata(USER, WORKSPACE)
        with pytest.raises(grpc.aio.AioRpcError):
            [_ async for _ in replica.stub.GetImageContent(request, metadata=metadata)]
        assert await replica.ended() == -9
        await replica.start()
        answered = [body async for body in replica.stub.GetImageContent(request, metadata=metadata)]
        assert answered[0].content_type == "image/webp"
        await site.audited()


def test_variants_deleted(tmp_path: Path) -> None:
    """What was made of pictures that are gone is found by the sweep."""
    settings = prepared(tmp_path)
    variants = [f"{old_id(number)}/512.webp" for number in range(3)]
    asyncio.run(put(settings, *variants))
    assert repair(settings, "variants-deleted").returncode == -9
    assert repair(settings).returncode == 0
    assert not list(Path(settings.data_dir, "images", "variants").glob("*/*"))
    asyncio.run(audit(settings, Counter()))


async def ended(site: Site, replica: Replica, generation_id: str) -> Any:
    async with asyncio.timeout(20):
        while (generation := await site.generation(replica, generation_id)).state == 1:  # noqa: ASYNC110
            await asyncio.sleep(0.05)
    return generation


# The sweep by hand. Only what is older than an hour is looked at.


def prepared(folder: Path) -> Settings:
    settings = Settings.read({"LIMNER_DATA_DIR": str(folder)})
    prepare(settings)
    return settings


def old_id(number: int) -> str:
    """An id of a picture that was made two hours ago."""
    return first_id_at(utc_now() - timedelta(hours=2) + timedelta(seconds=number))


async def put(settings: Settings, *image_ids: str) -> None:
    """Store a picture under each id."""
    stores = build_stores(settings)
    for image_id in image_ids:
        await stores.blobs.put(image_id, png(), "image/png")
    await stores.close()


async def keep_row(settings: Settings, image_id: str) -> None:
    """Keep a row, and its bytes in the spool."""
    stores, data = build_stores(settings), png()
    at = utc_now() - timedelta(hours=2)
    await stores.repository.add_image(
        Image(
            id=image_id,
            workspace_id=WORKSPACE,
            created_by_user_id=USER,
            width=8,
            height=8,
            size_bytes=len(data),
            format=OutputFormat.PNG,
            sha256=hashlib.sha256(data).hexdigest(),
            created_at=at,
            updated_at=at,
        )
    )
    await stores.spool.keep(image_id, data)
    with pytest.raises(BlobNotFoundError):
        await stores.blobs.read(image_id)
    await stores.close()


def repair(settings: Settings, failpoint: str = "") -> "subprocess.CompletedProcess[str]":
    """Run ``limner doctor --repair``, to die at a point."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("LIMNER_")}
    environment |= {"LIMNER_DATA_DIR": str(settings.data_dir), VARIABLE: failpoint}
    command = [sys.executable, "-m", "limner", "doctor", "--repair"]
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60)
