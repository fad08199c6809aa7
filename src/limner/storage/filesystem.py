"""Pictures as files in a folder: the embedded default.

A file being written has no name, so a crash leaves nothing of it. Where the file system knows no such files,
it is in ``incoming``, and what a crash leaves there is removed later.
``<last two digits>/<key>`` is whole and durable. (The first digits of a key are a time, alike for days.)
Variants lie in ``variants/<last two digits>/<key>/``.
"""

import itertools
import os
import secrets
import stat
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, suppress
from pathlib import Path
from typing import BinaryIO, Final

from limner.domain import limits
from limner.domain.errors import StorageUnavailableError
from limner.domain.identifiers import is_id
from limner.service.ports import BlobExistsError, BlobNotFoundError
from limner.storage.blob import require_key, require_owner, require_size
from limner.storage.threads import StorageThreads

_SHARDS: Final = tuple(f"{number:02x}" for number in range(256))
_INCOMING: Final = "incoming"
_VARIANTS: Final = "variants"
_CREATE: Final = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
_CREATE_NAMELESS: Final = os.O_WRONLY | getattr(os, "O_TMPFILE", 0) | os.O_DSYNC | os.O_CLOEXEC
"""Only Linux has ``O_TMPFILE``; without it the call fails, as a folder cannot be opened for writing."""
_NO_FOLDER: Final = -1
"""For paths that are absolute. Without any descriptor ``os.link`` makes a call that never follows ``/proc`` links."""
_READ: Final = os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC
_FOLDER: Final = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_ABANDONED_AFTER_S: Final = 3600.0
"""Age of a file in ``incoming`` whose writer is surely gone, whichever process it was."""


class FileBlobStore:
    """A ``BlobStore`` in a folder, which must exist and may be shared by processes.

    A put is: write and sync a file without a name, link it to its name (which never overwrites), sync the folder.
    Each system call may wait for the interpreter's lock afterwards, so there are few of them.
    Syncs at the same time share a commit of the file system's journal, so more ``writers`` help on a slow disk;
    on a fast one they only quarrel over that lock. The file system needs hard links.
    """

    def __init__(self, root: Path, *, writers: int = 4, readers: int = 4, timeout_s: float = 60.0) -> None:
        self._root = str(root.absolute())
        self._writers = StorageThreads("file-writer", threads=writers, timeout_s=timeout_s)
        self._readers = StorageThreads("file-reader", threads=readers, timeout_s=timeout_s)
        self._run_token = secrets.token_hex(8)
        self._temporaries = itertools.count()
        self._knows_nameless = False
        self._prepared = False
        self._preparing = threading.Lock()

    async def put(self, key: str, data: bytes, content_type: str) -> None:
        """Keep ``data``; the content type is not kept."""
        await self._writers.run(self._put, require_key(key), require_size(data))

    async def read(self, key: str) -> bytes:
        """Return the whole."""
        return await self._readers.run(self._read, require_key(key))

    async def stream(self, key: str, chunk_bytes: int) -> AsyncIterator[bytes]:
        """Yield the bytes in order, each part read when it is asked for."""
        reader = _Reader(self, require_key(key))
        try:
            while not reader.finished:
                part = await self._readers.run(reader.next, chunk_bytes)
                if part:
                    yield part
        finally:
            # A thread may still be reading when this stream is abandoned, so the closing waits its turn in one.
            if not reader.finished:
                self._readers.start(reader.close)

    async def open(self, key: str, *, whole_bytes: int = 0) -> "_OpenFile":
        """Return the file, open."""
        return await self._readers.run(self._open_file, require_key(key), whole_bytes)

    async def delete(self, key: str) -> None:
        """Forget the bytes; who streams them already gets the rest."""
        await self._writers.run(self._delete, require_owner(key))

    async def keys(self, after: str, until: str) -> AsyncIterator[str]:
        """Yield the keys of a range, one folder after the other."""
        async for key in self._keys_in(_SHARDS, after, until):
            yield key

    async def owners_of_variants(self, after: str, until: str) -> AsyncIterator[str]:
        """Yield the keys of a range that have a folder for variants."""
        async for key in self._keys_in([f"{_VARIANTS}/{shard}" for shard in _SHARDS], after, until):
            yield key

    async def _keys_in(self, folders: Sequence[str], after: str, until: str) -> AsyncIterator[str]:
        for folder in folders:
            for key in await self._readers.run(self._keys, folder):
                if after < key <= until:
                    yield key

    async def check(self) -> None:
        """Write, link and remove a small file, or say that the storage is not available."""
        await self._writers.run(self._check)

    async def sweep_temporary(self, older_than_s: float = _ABANDONED_AFTER_S) -> int:
        """Remove what crashes left half written more than so many seconds ago; return how many files."""
        return await self._writers.run(self._sweep, older_than_s)

    async def close(self) -> None:
        """End the threads."""
        self._writers.close()
        self._readers.close()

    def descriptor(self, key: str) -> tuple[int, int]:
        """Return a descriptor of the blob, to be closed by the caller, and its size in bytes. Blocks."""
        with self._translated():
            self._prepare()
            try:
                descriptor = os.open(self._path(key), _READ)
            except FileNotFoundError as error:
                self._require_folder(self._shard(key))
                raise BlobNotFoundError from error
            status = os.fstat(descriptor)
            if not stat.S_ISREG(status.st_mode) or status.st_size > limits.MAX_STORED_BYTES:
                os.close(descriptor)
                raise StorageUnavailableError("The storage holds something that is no picture.")
            return descriptor, status.st_size

    def _open_file(self, key: str, whole_bytes: int) -> "_OpenFile":
        descriptor, size = self.descriptor(key)
        if size > whole_bytes:
            with suppress(OSError, AttributeError):  # only a hint, and not every system takes it
                os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_WILLNEED)
            return _OpenFile(self._readers, os.fdopen(descriptor, "rb", buffering=0), size)
        try:
            return _OpenFile(self._readers, None, size, _read_all(descriptor, size))
        finally:
            os.close(descriptor)

    def _put(self, key: str, data: bytes) -> None:
        with self._translated():
            self._prepare()
            with self._written(data) as file:
                while not self._link(file, key, data):
                    pass
            # Also when another put made the link: it may not have come to its own sync yet.
            with self._unless_deleted(key):
                _sync_folder(str(Path(self._path(key)).parent))

    def _link(self, file: str, key: str, data: bytes) -> bool:
        """Give the file its name; false when it was taken, but free again before one could look."""
        try:
            if "/" in key:
                Path(self._path(key)).parent.mkdir(mode=0o700, exist_ok=True)
            with self._unless_deleted(key):
                _link_file(file, self._path(key))
        except FileExistsError:
            try:
                kept = self._read(key)
            except BlobNotFoundError:
                return False
            if kept != data:
                raise BlobExistsError from None
        return True

    def _read(self, key: str) -> bytes:
        reader = _Reader(self, key)
        try:
            return reader.next(limits.MAX_STORED_BYTES)
        finally:
            reader.close()

    def _delete(self, key: str) -> None:
        with self._translated():
            self._prepare()
            try:
                Path(self._path(key)).unlink()
            except FileNotFoundError:
                self._require_folder(self._shard(key))
            else:
                _sync_folder(self._shard(key))
            self._delete_variants(f"{self._root}/{_VARIANTS}/{key[-2:]}", key)

    def _delete_variants(self, shard: str, key: str) -> None:
        folder = Path(shard, key)
        try:
            while True:
                for variant in folder.iterdir():
                    variant.unlink(missing_ok=True)
                with suppress(OSError):  # somebody put another one meanwhile
                    folder.rmdir()
                    break
        except FileNotFoundError:
            return
        _sync_folder(shard)

    @contextmanager
    def _unless_deleted(self, key: str) -> Iterator[None]:
        """Take it that a variant was put, when its picture is deleted at this moment and takes the folder along."""
        try:
            yield
        except FileNotFoundError:
            if "/" not in key:
                raise

    def _keys(self, shard: str) -> list[str]:
        with self._translated():
            self._prepare()
            with os.scandir(f"{self._root}/{shard}") as entries:
                return [entry.name for entry in entries if is_id(entry.name)]

    def _check(self) -> None:
        with self._translated():
            self._prepare()
            self._try_link(self._written)

    def _sweep(self, older_than_s: float) -> int:
        with self._translated():
            self._prepare()
            return self._remove_abandoned(older_than_s)

    def _prepare(self) -> None:
        """Make the folders, once; other processes may do the same at the same time."""
        if self._prepared:
            return
        with self._preparing:
            if self._prepared:
                return
            for name in (_INCOMING, *_SHARDS, _VARIANTS, *(f"{_VARIANTS}/{shard}" for shard in _SHARDS)):
                Path(self._root, name).mkdir(mode=0o700, exist_ok=True)
            _sync_folder(self._root)
            self._remove_abandoned(_ABANDONED_AFTER_S)
            self._knows_nameless = self._can_link_nameless()
            self._prepared = True

    def _remove_abandoned(self, older_than_s: float) -> int:
        before, removed = time.time() - older_than_s, 0
        with os.scandir(f"{self._root}/{_INCOMING}") as entries:
            for entry in entries:
                with suppress(FileNotFoundError):  # its writer was just slow, or another process sweeps too
                    if entry.stat(follow_symlinks=False).st_mtime <= before:
                        Path(entry).unlink()
                        removed += 1
        return removed

    def _can_link_nameless(self) -> bool:
        """Tell whether the way without names works here: not everywhere does the file system know it, or is /proc."""
        try:
            self._try_link(self._nameless)
        except OSError:
            return False  # whatever it was: when it stops the other way too, that one will say so
        return True

    def _try_link(self, write: Callable[[bytes], AbstractContextManager[str]]) -> None:
        linked = self._temporary_path()
        with write(b"check") as file:
            _link_file(file, linked)
            Path(linked).unlink()

    def _written(self, data: bytes) -> AbstractContextManager[str]:
        """Write a file, whole and synced, that goes away unless it is linked from the path in question."""
        return self._nameless(data) if self._knows_nameless else self._named(data)

    @contextmanager
    def _nameless(self, data: bytes) -> Iterator[str]:
        descriptor = os.open(f"{self._root}/{_INCOMING}", _CREATE_NAMELESS, 0o600)
        try:
            _write_all(descriptor, data)
            yield f"/proc/self/fd/{descriptor}"
        finally:
            os.close(descriptor)

    @contextmanager
    def _named(self, data: bytes) -> Iterator[str]:
        path = self._temporary_path()
        descriptor = os.open(path, _CREATE, 0o600)
        try:
            try:
                _write_all(descriptor, data)
                os.fsync(descriptor)
            finally:
                os.close(descriptor)
            yield path
        finally:
            Path(path).unlink()

    def _temporary_path(self) -> str:
        return f"{self._root}/{_INCOMING}/{self._run_token}-{next(self._temporaries)}"

    def _shard(self, key: str) -> str:
        owner, slash, _ = key.partition("/")
        return f"{self._root}/{_VARIANTS}/{owner[-2:]}" if slash else f"{self._root}/{owner[-2:]}"

    def _path(self, key: str) -> str:
        return f"{self._shard(key)}/{key}"

    def _require_folder(self, path: str) -> None:
        """Tell a blob that is not there from a disk that is not there."""
        os.close(os.open(path, _FOLDER))

    @contextmanager
    def _translated(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise StorageUnavailableError from error


class _OpenFile:
    """An ``OpenBlob`` in a file."""

    def __init__(
        self, threads: StorageThreads, file: BinaryIO | None, size_bytes: int, whole: bytes | None = None
    ) -> None:
        self._threads = threads
        self.file = file
        self.size_bytes = size_bytes
        self.whole = whole
        self._turn = threading.Lock()

    async def parts(self, start: int, end: int, chunk_bytes: int) -> AsyncIterator[bytes]:
        """Yield the bytes of a range, each part read when it is asked for."""
        for offset in range(start, end, chunk_bytes):
            count = min(chunk_bytes, end - offset)
            if self.whole is not None:
                yield self.whole[offset : offset + count]
            else:
                yield await self._threads.run(self._part, offset, count)

    async def close(self) -> None:
        """Close the file, after the turn of who reads it now, though nobody waits for that any more."""
        if self.file is None:
            return
        if self._turn.acquire(blocking=False):
            self.file.close()
            self._turn.release()
        else:
            self._threads.start(self._close)

    def _close(self) -> None:
        with self._turn:
            assert self.file is not None
            self.file.close()

    def _part(self, offset: int, count: int) -> bytes:
        assert self.file is not None
        with self._turn:
            try:
                part = os.pread(self.file.fileno(), count, offset)
            except OSError as error:
                raise StorageUnavailableError from error
        if len(part) < count:
            raise StorageUnavailableError("The storage lost a part of the picture.")
        return part


class _Reader:
    """One blob, read part by part by threads that take turns; opened by the first, closed by the last."""

    def __init__(self, store: FileBlobStore, key: str) -> None:
        self.finished = False
        self._store = store
        self._key = key
        self._turn = threading.Lock()
        self._descriptor = -1
        self._left = 0

    def next(self, count: int) -> bytes:
        """Return the next part, at most ``count`` bytes."""
        with self._turn:
            if self.finished:
                return b""
            if self._descriptor < 0:
                self._descriptor, self._left = self._store.descriptor(self._key)
            part = self._read(min(count, self._left))
            self._left -= len(part)
            if not self._left:
                self._close()
            return part

    def close(self) -> None:
        """Close the file, after the turn of who reads it now."""
        with self._turn:
            self._close()

    def _read(self, count: int) -> bytes:
        try:
            part = os.read(self._descriptor, count)
        except OSError as error:
            raise StorageUnavailableError from error
        if len(part) < count:
            raise StorageUnavailableError("The storage lost a part of the picture.")
        return part

    def _close(self) -> None:
        self.finished = True
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1


def _read_all(descriptor: int, size: int) -> bytes:
    try:
        data = os.read(descriptor, size)
    except OSError as error:
        raise StorageUnavailableError from error
    if len(data) < size:
        raise StorageUnavailableError("The storage lost a part of the picture.")
    return data


def _write_all(descriptor: int, data: bytes) -> None:
    written = os.write(descriptor, data)
    while written < len(data):
        written += os.write(descriptor, memoryview(data)[written:])


def _link_file(path: str, link: str) -> None:
    os.link(path, link, src_dir_fd=_NO_FOLDER, follow_symlinks=True)


def _sync_folder(path: str) -> None:
    descriptor = os.open(path, _FOLDER)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
