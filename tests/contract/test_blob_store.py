"""What every ``BlobStore`` promises, asked of all three."""

import asyncio
import errno
import gc
import os
import resource
import socket
import threading
import tracemalloc
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
from aiohttp import ClientSession, web

from limner.domain import limits
from limner.domain.errors import StorageUnavailableError
from limner.domain.identifiers import new_id
from limner.service.ports import BlobExistsError, BlobNotFoundError, BlobStore
from limner.storage.filesystem import FileBlobStore
from limner.storage.gcs import GcsBlobStore
from limner.storage.memory import MemoryBlobStore
from tests.real_parts.gcs import fake_gcs, make_bucket
from tests.real_parts.lossy_proxy import answers_lost

PNG = "image/png"
BIG = os.urandom(limits.MAX_UPLOAD_BYTES)


@dataclass
class Place:
    """A store, and the way to it."""

    store: BlobStore
    again: Callable[[], BlobStore]
    """Opens the same place once more, as a restarted process would."""


@pytest.fixture(scope="module")
def gcs_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with fake_gcs(tmp_path_factory.mktemp("gcs")) as url:
        make_bucket(url, "pictures")
        yield url


@pytest.fixture
def emulator(gcs_url: str, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setenv("STORAGE_EMULATOR_HOST", gcs_url)
    return gcs_url


@pytest.fixture(params=["memory", "file", "gcs"])
async def place(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Place]:
    if request.param == "gcs":
        request.getfixturevalue("emulator")
    memory = MemoryBlobStore()
    kinds: dict[str, Callable[[], BlobStore]] = {
        "memory": lambda: memory,
        "file": lambda: FileBlobStore(tmp_path),
        "gcs": lambda: GcsBlobStore("pictures", f"tests/{tmp_path.name}"),
    }
    again = kinds[request.param]
    store = again()
    yield Place(store, again)
    await store.close()


@pytest.fixture
def store(place: Place) -> BlobStore:
    return place.store


@pytest.fixture
async def files(tmp_path: Path) -> AsyncIterator[FileBlobStore]:
    store = FileBlobStore(tmp_path)
    yield store
    await store.close()


async def collect(store: BlobStore, key: str, chunk_bytes: int) -> list[bytes]:
    return [part async for part in store.stream(key, chunk_bytes)]


def all_files(root: Path) -> list[Path]:
    return [path for path in root.rglob("*") if path.is_file()]


def open_files() -> int:
    return sum(1 for _ in Path("/proc/self/fd").iterdir())


@asynccontextmanager
async def recorded(url: str, arrivals: list[str]) -> AsyncIterator[str]:
    """Stand before a server, and note the method and path of each request."""
    session = ClientSession(auto_decompress=False)

    async def forward(request: web.Request) -> web.Response:
        arrivals.append(f"{request.method} {request.path}")
        headers = {name: value for name, value in request.headers.items() if name.lower() != "host"}
        body = await request.read()
        async with session.request(request.method, f"{url}{request.path_qs}", headers=headers, data=body) as answer:
            return web.Response(status=answer.status, body=await answer.read(), content_type=answer.content_type)

    app = web.Application(client_max_size=64 * limits.MIB)
    app.router.add_route("*", "/{path:.*}", forward)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()
        await session.close()


async def test_googles_client_asks_for_nothing_but_objects(gcs_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The bucket itself is not the store's to look at: its role has no right to."""
    arrivals: list[str] = []
    async with recorded(gcs_url, arrivals) as url:
        monkeypatch.setenv("STORAGE_EMULATOR_HOST", url)
        store = GcsBlobStore("pictures", "quiet")
        await store.check()
        await store.put(key := new_id(), b"picture", PNG)
        await store.read(key)
        for _ in range(2):
            with pytest.raises(BlobNotFoundError):
                await store.read(new_id())
        await store.delete(key)
        for thread in threading.enumerate():
            if "_background" in thread.name:  # those of Google's library
                await asyncio.to_thread(thread.join)
        await store.close()
    assert arrivals and not [each for each in arrivals if each.endswith("/b/pictures")]


async def test_the_keys_of_a_range_are_listed(store: BlobStore) -> None:
    keys = sorted(new_id() for _ in range(5))
    for key in keys:
        await store.put(key, b"picture", PNG)
    assert {key async for key in store.keys(keys[0], keys[3])} == set(keys[1:4])
    assert {key async for key in store.keys("", keys[4])} == set(keys)
    assert [key async for key in store.keys(keys[4], "f" * 32)] == []


async def taken(store: BlobStore, key: str, start: int = 0, end: int | None = None, **how: int) -> bytes:
    """What is read of an opened blob, in parts of 7 bytes."""
    blob = await store.open(key, **how)
    parts = [part async for part in blob.parts(start, blob.size_bytes if end is None else end, 7)]
    assert all(0 < len(part) <= 7 for part in parts)
    await blob.close()
    return b"".join(parts)


@pytest.mark.parametrize("whole_bytes", [0, 26, 1000])
async def test_what_was_put_is_opened_and_read_in_part(store: BlobStore, whole_bytes: int) -> None:
    key, data = new_id(), bytes(range(26))
    await store.put(key, data, PNG)

    blob = await store.open(key, whole_bytes=whole_bytes)

    assert blob.size_bytes == 26
    assert blob.whole in (None, data)
    assert await taken(store, key, whole_bytes=whole_bytes) == data
    assert await taken(store, key, 5, 20, whole_bytes=whole_bytes) == data[5:20]
    assert await taken(store, key, 25, 26, whole_bytes=whole_bytes) == data[25:]
    await blob.close()


async def test_what_is_not_there_can_not_be_opened(store: BlobStore) -> None:
    for key in (new_id(), f"{new_id()}/512.webp"):
        with pytest.raises(BlobNotFoundError):
            await store.open(key)


async def test_a_variant_is_kept_beside_its_picture_and_listed_with_none(store: BlobStore) -> None:
    key = new_id()
    await store.put(key, b"picture", PNG)
    await store.put(f"{key}/512.webp", b"smaller", "image/webp")

    assert await store.read(f"{key}/512.webp") == b"smaller"
    assert await taken(store, f"{key}/512.webp") == b"smaller"
    assert await store.read(key) == b"picture"
    assert [each async for each in store.keys("", "f" * 32) if each.startswith(key)] == [key]


async def test_the_owners_of_variants_are_listed_once_each(store: BlobStore) -> None:
    keys = sorted(new_id() for _ in range(4))
    for key in keys:
        for name in ("128.webp", "512.webp"):
            await store.put(f"{key}/{name}", b"smaller", "image/webp")

    listed = [key async for key in store.owners_of_variants(keys[0], keys[2])]

    assert sorted(listed) == keys[1:3]


async def test_of_two_variants_of_one_name_the_first_stays(store: BlobStore) -> None:
    key = f"{new_id()}/512.webp"
    await store.put(key, b"first", "image/webp")
    await store.put(key, b"first", "image/webp")

    with pytest.raises(BlobExistsError):
        await store.put(key, b"other", "image/webp")

    assert await store.read(key) == b"first"


async def test_deleting_a_picture_takes_its_variants_along_and_no_others(store: BlobStore) -> None:
    key, other = new_id(), new_id()
    for each in (key, other):
        await store.put(each, b"picture", PNG)
        for name in ("512.webp", "full.avif"):
            await store.put(f"{each}/{name}", b"smaller", "image/webp")

    await store.delete(key)

    for gone in (key, f"{key}/512.webp", f"{key}/full.avif"):
        with pytest.raises(BlobNotFoundError):
            await store.read(gone)
    assert await store.read(f"{other}/512.webp") == b"smaller"


async def test_variants_are_deleted_even_where_their_picture_is_gone_already(store: BlobStore) -> None:
    key = new_id()
    await store.put(f"{key}/512.webp", b"smaller", "image/webp")

    await store.delete(key)

    with pytest.raises(BlobNotFoundError):
        await store.read(f"{key}/512.webp")


async def test_variants_that_are_put_while_their_picture_is_deleted_leave_nothing_broken(store: BlobStore) -> None:
    key = new_id()
    names = [f"{key}/{number}.webp" for number in range(20)]

    await asyncio.gather(*(store.put(name, b"smaller", "image/webp") for name in names), store.delete(key))
    await store.delete(key)

    for name in names:
        with pytest.raises(BlobNotFoundError):
            await store.read(name)


@pytest.mark.parametrize("variant", ["", "x", "../x.webp", "512.webp/x.webp", "A.webp", ".webp", "512.webp\n"])
async def test_what_is_no_name_of_a_variant_never_becomes_one(store: BlobStore, variant: str) -> None:
    with pytest.raises(ValueError, match="32 hexadecimal digits"):
        await store.put(f"{new_id()}/{variant}", b"picture", PNG)


async def test_what_was_put_is_read_back(store: BlobStore) -> None:
    key = new_id()
    await store.put(key, b"\x00picture\xff", PNG)
    assert await store.read(key) == b"\x00picture\xff"


async def test_another_process_reads_what_was_put(place: Place) -> None:
    key = new_id()
    await place.store.put(key, b"picture", PNG)
    other = place.again()
    assert await other.read(key) == b"picture"
    await other.close()


async def test_no_bytes_at_all_are_kept_as_such(store: BlobStore) -> None:
    key = new_id()
    await store.put(key, b"", PNG)
    assert await store.read(key) == b""
    assert await collect(store, key, 16) == []


async def test_the_same_bytes_may_be_put_again(store: BlobStore) -> None:
    key = new_id()
    await store.put(key, b"picture", PNG)
    await store.put(key, b"picture", PNG)
    assert await store.read(key) == b"picture"


@pytest.mark.parametrize("other", [b"another", b"pictures", b"pict", b""])
async def test_other_bytes_under_a_taken_key_are_refused_and_change_nothing(store: BlobStore, other: bytes) -> None:
    key = new_id()
    await store.put(key, b"picture", PNG)
    with pytest.raises(BlobExistsError):
        await store.put(key, other, PNG)
    assert await store.read(key) == b"picture"


async def test_of_concurrent_puts_under_one_key_exactly_one_wins(store: BlobStore) -> None:
    key = new_id()
    blobs = [bytes([number]) * 10_000 for number in range(8)]
    outcomes = await asyncio.gather(*(store.put(key, blob, PNG) for blob in blobs), return_exceptions=True)
    winners = [blob for blob, outcome in zip(blobs, outcomes, strict=True) if outcome is None]
    assert winners == [await store.read(key)]
    assert sum(isinstance(outcome, BlobExistsError) for outcome in outcomes) == len(blobs) - 1


async def test_concurrent_puts_of_the_same_bytes_all_succeed(store: BlobStore) -> None:
    key = new_id()
    await asyncio.gather(*(store.put(key, b"picture" * 1000, PNG) for _ in range(8)))
    assert await store.read(key) == b"picture" * 1000


async def test_a_reader_sees_the_whole_or_nothing_while_it_is_put(store: BlobStore) -> None:
    key, blob, seen = new_id(), BIG[: 4 * limits.MIB], set()
    putting = asyncio.ensure_future(store.put(key, blob, PNG))
    while not putting.done():
        try:
            seen.add(len(await store.read(key)))
        except BlobNotFoundError:
            await asyncio.sleep(0)
    await putting
    assert seen <= {len(blob)}


@pytest.mark.parametrize("chunk_bytes", [1, 3, 1000, 1_000_000])
async def test_a_stream_yields_all_bytes_in_order_in_parts_of_at_most_a_chunk(
    store: BlobStore, chunk_bytes: int
) -> None:
    key, blob = new_id(), BIG[:1000]
    await store.put(key, blob, PNG)
    parts = await collect(store, key, chunk_bytes)
    assert b"".join(parts) == blob
    assert max(map(len, parts)) <= chunk_bytes
    assert min(map(len, parts)) > 0


async def test_twenty_mebibytes_go_through_whole_and_as_a_stream(store: BlobStore) -> None:
    key = new_id()
    await store.put(key, BIG, PNG)
    assert await store.read(key) == BIG
    parts = await collect(store, key, limits.CONTENT_CHUNK_BYTES)
    assert b"".join(parts) == BIG
    assert max(map(len, parts)) <= limits.CONTENT_CHUNK_BYTES


async def test_a_stream_that_is_abandoned_leaves_the_store_usable(store: BlobStore) -> None:
    key = new_id()
    await store.put(key, BIG[: limits.MIB], PNG)
    for _ in range(50):
        async with aclosing(store.stream(key, 1024)) as parts:  # type: ignore[type-var]
            async for part in parts:
                assert part == BIG[:1024]
                break
    assert await store.read(key) == BIG[: limits.MIB]


async def test_a_stream_that_is_cancelled_leaves_the_store_usable(store: BlobStore) -> None:
    key = new_id()
    await store.put(key, BIG[: limits.MIB], PNG)
    for _ in range(20):
        streaming = asyncio.ensure_future(collect(store, key, 4096))
        await asyncio.sleep(0.001)
        streaming.cancel()
        await asyncio.gather(streaming, return_exceptions=True)
    assert await store.read(key) == BIG[: limits.MIB]


async def test_many_streams_of_one_blob_do_not_disturb_each_other(store: BlobStore) -> None:
    key, blob = new_id(), BIG[:100_000]
    await store.put(key, blob, PNG)
    streams = await asyncio.gather(*(collect(store, key, 7_000 + number) for number in range(16)))
    assert all(b"".join(parts) == blob for parts in streams)


async def test_an_unknown_key_is_not_found(store: BlobStore) -> None:
    with pytest.raises(BlobNotFoundError):
        await store.read(new_id())


async def test_a_stream_of_an_unknown_key_fails_before_its_first_part(store: BlobStore) -> None:
    with pytest.raises(BlobNotFoundError):
        await anext(store.stream(new_id(), 16))


async def test_deleted_bytes_are_not_found(store: BlobStore) -> None:
    key = new_id()
    await store.put(key, b"picture", PNG)
    await store.delete(key)
    with pytest.raises(BlobNotFoundError):
        await store.read(key)


async def test_deleting_again_and_deleting_what_never_was_is_fine(store: BlobStore) -> None:
    key = new_id()
    await store.put(key, b"picture", PNG)
    await store.delete(key)
    await store.delete(key)
    await store.delete(new_id())


async def test_a_deleted_key_can_be_put_again(store: BlobStore) -> None:
    key = new_id()
    await store.put(key, b"picture", PNG)
    await store.delete(key)
    await store.put(key, b"another", PNG)
    assert await store.read(key) == b"another"


@pytest.mark.parametrize(
    "key", ["", "cat.png", "../../etc/passwd", "/etc/passwd", "A" * 32, "0" * 31, "0" * 33, "0" * 32 + "\n", "0/" * 16]
)
async def test_what_is_no_identifier_never_becomes_a_name(store: BlobStore, key: str) -> None:
    with pytest.raises(ValueError, match="32 hexadecimal digits"):
        await store.put(key, b"picture", PNG)
    with pytest.raises(ValueError, match="32 hexadecimal digits"):
        await store.read(key)
    with pytest.raises(ValueError, match="32 hexadecimal digits"):
        await anext(store.stream(key, 16))
    with pytest.raises(ValueError, match="32 hexadecimal digits"):
        await store.delete(key)


async def test_more_than_can_be_read_back_is_not_put(store: BlobStore) -> None:
    with pytest.raises(ValueError, match="at most"):
        await store.put(new_id(), bytes(limits.MAX_STORED_BYTES + 1), PNG)


async def test_a_store_that_can_be_written_to_passes_the_check_and_shows_no_trace_of_it(
    store: BlobStore, tmp_path: Path
) -> None:
    await store.check()
    await store.check()
    assert all_files(tmp_path) == []


class TestFileBlobStore:
    """What only files can show."""

    async def test_folders_share_the_files_of_one_moment(self, files: FileBlobStore, tmp_path: Path) -> None:
        for _ in range(64):
            await files.put(new_id(), b"picture", PNG)
        assert len({path.parent for path in all_files(tmp_path)}) > 32

    async def test_a_half_written_file_of_a_crash_is_never_visible_and_stops_nothing(
        self, files: FileBlobStore, tmp_path: Path
    ) -> None:
        key = new_id()
        await files.check()
        (tmp_path / "incoming" / f"{key}-0123456789abcdef").write_bytes(b"pict")
        with pytest.raises(BlobNotFoundError):
            await files.read(key)
        await files.put(key, b"picture", PNG)
        assert await files.read(key) == b"picture"

    async def test_a_crash_between_link_and_unlink_leaves_a_whole_picture(
        self, files: FileBlobStore, tmp_path: Path
    ) -> None:
        key = new_id()
        await files.put(key, b"picture", PNG)
        (kept,) = all_files(tmp_path)
        (tmp_path / "incoming" / f"{key}-0123456789abcdef").hardlink_to(kept)
        assert await files.sweep_temporary(older_than_s=0) == 1
        assert await files.read(key) == b"picture"

    async def test_a_start_removes_old_leftovers_and_spares_what_another_process_writes(self, tmp_path: Path) -> None:
        incoming = tmp_path / "incoming"
        incoming.mkdir()
        (incoming / "old").write_bytes(b"pict")
        os.utime(incoming / "old", (0, 0))
        (incoming / "new").write_bytes(b"pict")
        store = FileBlobStore(tmp_path)
        await store.check()
        assert [path.name for path in incoming.iterdir()] == ["new"]
        await store.close()

    async def test_nothing_temporary_stays_behind_after_puts_that_win_or_lose(
        self, files: FileBlobStore, tmp_path: Path
    ) -> None:
        key = new_id()
        await asyncio.gather(*(files.put(key, bytes([n]), PNG) for n in range(8)), return_exceptions=True)
        assert [path.name for path in all_files(tmp_path)] == [key]

    async def test_a_disk_that_takes_no_more_is_unavailable_and_keeps_nothing(
        self, files: FileBlobStore, tmp_path: Path
    ) -> None:
        await files.check()
        _, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (1000, hard))
        try:
            with pytest.raises(StorageUnavailableError) as failure:
                await files.put(new_id(), bytes(5000), PNG)
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, (hard, hard))
        assert isinstance(failure.value.__cause__, OSError)
        assert failure.value.__cause__.errno == errno.EFBIG
        assert all_files(tmp_path) == []

    async def test_a_missing_root_is_unavailable_and_not_made(self, tmp_path: Path) -> None:
        store = FileBlobStore(tmp_path / "missing")
        for call in (store.check(), store.put(new_id(), b"", PNG), store.read(new_id()), store.delete(new_id())):
            with pytest.raises(StorageUnavailableError):
                await call
        assert not (tmp_path / "missing").exists()
        await store.close()

    async def test_a_root_that_vanishes_is_unavailable_and_not_mistaken_for_missing_pictures(
        self, files: FileBlobStore, tmp_path: Path
    ) -> None:
        await files.check()
        moved = tmp_path.rename(tmp_path.with_name("moved"))  # noqa: ASYNC240
        for call in (files.check(), files.put(new_id(), b"", PNG), files.read(new_id()), files.delete(new_id())):
            with pytest.raises(StorageUnavailableError):
                await call
        moved.rename(tmp_path)
        await files.check()

    async def test_a_root_that_is_a_file_is_unavailable(self, tmp_path: Path) -> None:
        (tmp_path / "root").touch()
        store = FileBlobStore(tmp_path / "root")
        with pytest.raises(StorageUnavailableError):
            await store.check()
        await store.close()

    async def test_a_link_in_place_of_a_picture_is_not_followed(self, files: FileBlobStore, tmp_path: Path) -> None:
        await files.check()
        key, secret = new_id(), tmp_path / "secret"
        secret.write_text("secret")
        (tmp_path / key[-2:] / key).symlink_to(secret)
        with pytest.raises(StorageUnavailableError):
            await files.read(key)
        with pytest.raises(StorageUnavailableError):
            await files.put(key, b"picture", PNG)
        assert secret.read_text() == "secret"

    async def test_who_streams_a_deleted_picture_gets_the_rest(self, files: FileBlobStore) -> None:
        key = new_id()
        await files.put(key, b"picture", PNG)
        stream = files.stream(key, 4)
        assert await anext(stream) == b"pict"
        await files.delete(key)
        assert [part async for part in stream] == [b"ure"]

    async def test_no_file_stays_open_after_streams_that_end_break_off_or_are_forgotten(
        self, files: FileBlobStore
    ) -> None:
        key = new_id()
        await files.put(key, BIG[: limits.MIB], PNG)
        before = open_files()
        await collect(files, key, 65536)
        async with aclosing(files.stream(key, 1024)) as broken_off:  # type: ignore[type-var]
            await anext(broken_off)
        await anext(files.stream(key, 1024))
        for _ in range(20):
            cancelled = asyncio.ensure_future(collect(files, key, 1024))
            await asyncio.sleep(0.0005)
            cancelled.cancel()
        gc.collect()
        async with asyncio.timeout(5):
            while open_files() > before:  # noqa: ASYNC110
                await asyncio.sleep(0.01)

    async def test_a_stream_reads_no_faster_than_its_parts_are_taken(self, files: FileBlobStore) -> None:
        key = new_id()
        await files.put(key, BIG, PNG)
        tracemalloc.start()
        async with aclosing(files.stream(key, limits.CONTENT_CHUNK_BYTES)) as parts:  # type: ignore[type-var]
            await anext(parts)
            await asyncio.sleep(0.05)
            assert tracemalloc.get_traced_memory()[1] < 2 * limits.MIB
        tracemalloc.stop()


class TestGcsBlobStore:
    """What only a network can show."""

    async def test_a_prefix_may_be_written_with_or_without_slashes(self, emulator: str) -> None:
        key = new_id()
        one, other, none = (GcsBlobStore("pictures", prefix) for prefix in ("a/b", "/a/b/", ""))
        await one.put(key, b"picture", PNG)
        assert await other.read(key) == b"picture"
        with pytest.raises(BlobNotFoundError):
            await none.read(key)
        for store in (one, other, none):
            await store.close()

    async def test_a_missing_bucket_is_unavailable_and_not_mistaken_for_missing_pictures(self, emulator: str) -> None:
        store = GcsBlobStore("missing", timeout_s=3)
        for call in (store.check(), store.put(new_id(), b"", PNG), store.read(new_id()), store.delete(new_id())):
            with pytest.raises(StorageUnavailableError) as failure:
                await call
            assert "missing" not in failure.value.message
        await store.close()

    async def test_a_server_that_refuses_connections_is_unavailable_in_time(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("STORAGE_EMULATOR_HOST", "http://127.0.0.1:1")
        store = GcsBlobStore("pictures", timeout_s=1)
        for call in (store.put(new_id(), b"", PNG), store.read(new_id()), store.check()):
            with pytest.raises(StorageUnavailableError):
                async with asyncio.timeout(5):
                    await call
        await store.close()

    async def test_a_server_that_never_answers_is_unavailable_in_time(self, monkeypatch: pytest.MonkeyPatch) -> None:
        with socket.create_server(("127.0.0.1", 0)) as silent:
            monkeypatch.setenv("STORAGE_EMULATOR_HOST", f"http://127.0.0.1:{silent.getsockname()[1]}")
            store = GcsBlobStore("pictures", timeout_s=0.5)
            with pytest.raises(StorageUnavailableError):
                async with asyncio.timeout(5):
                    await store.read(new_id())
            await store.close()

    async def test_an_upload_whose_answer_is_lost_is_repeated_and_succeeds(
        self, emulator: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        with answers_lost(emulator, "POST", 1) as url:
            monkeypatch.setenv("STORAGE_EMULATOR_HOST", url)
            store, key = GcsBlobStore("pictures"), new_id()
            await store.put(key, b"picture", PNG)
            assert await store.read(key) == b"picture"
            await store.close()

    async def test_a_stream_survives_a_lost_answer(self, emulator: str, monkeypatch: pytest.MonkeyPatch) -> None:
        with answers_lost(emulator, "GET", 2) as url:
            monkeypatch.setenv("STORAGE_EMULATOR_HOST", url)
            store, key = GcsBlobStore("pictures"), new_id()
            await store.put(key, BIG[: 5 * limits.MIB], PNG)
            assert b"".join(await collect(store, key, 100_000)) == BIG[: 5 * limits.MIB]
            await store.close()

    async def test_a_stream_whose_picture_is_deleted_meanwhile_ends_with_not_found(self, emulator: str) -> None:
        store, key = GcsBlobStore("pictures"), new_id()
        await store.put(key, BIG[: 5 * limits.MIB], PNG)
        stream = store.stream(key, limits.MIB)
        await anext(stream)
        await store.delete(key)
        with pytest.raises(BlobNotFoundError):
            [part async for part in stream]
        await store.close()
