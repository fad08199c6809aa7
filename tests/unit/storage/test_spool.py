"""Where paid pictures wait for a store that is down."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from limner.domain.errors import StorageUnavailableError
from limner.domain.identifiers import new_id
from limner.storage.spool import FileSpool


def spool_in(root: Path, **bounds: int) -> FileSpool:
    return FileSpool(root, **{"goes_first": True, "max_bytes": 1000, "min_free_bytes": 0, **bounds})  # type: ignore[arg-type]


@pytest.fixture
async def spool(tmp_path: Path) -> AsyncIterator[FileSpool]:
    spool = spool_in(tmp_path)
    yield spool
    await spool.close()


async def test_what_is_kept_is_found_by_the_next_process(spool: FileSpool, tmp_path: Path) -> None:
    key = new_id()
    await spool.keep(key, b"picture")

    other = spool_in(tmp_path)

    assert await other.read(key) == b"picture"
    assert await other.keys() == (key,)
    await other.discard(key)
    assert await spool.read(key) is None
    assert await spool.keys() == ()
    await other.close()


async def test_the_first_bytes_under_a_key_stay(spool: FileSpool) -> None:
    key = new_id()
    await spool.keep(key, b"first")
    await spool.keep(key, b"first")
    await spool.keep(key, b"second")
    assert await spool.read(key) == b"first"


async def test_discarding_what_is_not_there_is_fine(spool: FileSpool) -> None:
    await spool.discard(new_id())


async def test_a_full_spool_has_no_room_until_it_is_delivered(spool: FileSpool) -> None:
    key = new_id()
    spool.require_room()
    await spool.keep(key, bytes(1001))
    with pytest.raises(StorageUnavailableError):
        spool.require_room()
    await spool.discard(key)
    spool.require_room()


async def test_what_a_crash_left_counts_until_another_worker_delivers_it(
    spool: FileSpool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    key = new_id()
    await spool.keep(key, bytes(1001))
    monkeypatch.setattr("limner.storage.spool._LOOK_AGAIN_S", -1.0)
    other = spool_in(tmp_path)
    with pytest.raises(StorageUnavailableError):
        other.require_room()

    await spool.discard(key)

    other.require_room()
    await other.close()


async def test_a_full_disk_has_no_room(tmp_path: Path) -> None:
    spool = spool_in(tmp_path, min_free_bytes=1 << 60)
    with pytest.raises(StorageUnavailableError):
        spool.require_room()
    await spool.close()


async def test_a_disk_that_is_gone_has_no_room(tmp_path: Path) -> None:
    spool = spool_in(tmp_path / "gone")
    with pytest.raises(StorageUnavailableError):
        spool.require_room()
    with pytest.raises(StorageUnavailableError):
        await spool.keep(new_id(), b"picture")
    await spool.close()
