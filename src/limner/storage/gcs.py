"""Pictures in a bucket of Google Cloud Storage, or of an emulator (``STORAGE_EMULATOR_HOST``).

Needs the role ``roles/storage.objectUser`` on the bucket; credentials are the application's default ones.
Google's library is imported when the store is first used: it takes half a second and 50 MiB.
"""

from __future__ import annotations

import base64
import hashlib
import os
import secrets
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final

from limner.domain import limits
from limner.domain.errors import StorageUnavailableError
from limner.domain.identifiers import is_id
from limner.service.ports import BlobExistsError, BlobNotFoundError
from limner.storage.blob import require_key, require_owner, require_size
from limner.storage.threads import StorageThreads

if TYPE_CHECKING:
    import google.cloud.storage as storage

_VARIANTS: Final = "variants"
_WINDOW_BYTES: Final = 2 * limits.MIB
"""What one request of a stream fetches: a request takes tens of milliseconds, however few bytes it is for."""


class GcsBlobStore:
    """A ``BlobStore`` in a bucket. An object's name is ``prefix``, a slash and the key.

    Every upload has ``if_generation_match=0``, so repeating it is safe and the library's own policy does;
    ``timeout_s`` bounds a call with all its repetitions. A stream sticks to the generation that it found
    first, and ends with ``BlobNotFoundError`` when that is deleted meanwhile. It keeps 2 MiB in memory.
    """

    def __init__(
        self,
        bucket: str,
        prefix: str = "",
        *,
        client: storage.Client | None = None,
        threads: int = 32,
        timeout_s: float = 60.0,
    ) -> None:
        self._bucket_name = bucket
        self._prefix = f"{prefix.strip('/')}/" if prefix.strip("/") else ""
        self._client = client
        self._connecting = threading.Lock()
        self._connections = threads
        self._timeout_s = timeout_s
        self._threads = StorageThreads("gcs-store", threads=threads, timeout_s=timeout_s)

    async def put(self, key: str, data: bytes, content_type: str) -> None:
        """Keep ``data`` with its content type."""
        await self._threads.run(self._put, require_key(key), require_size(data), content_type)

    async def read(self, key: str) -> bytes:
        """Return the whole, its checksum verified."""
        return await self._threads.run(self._read, require_key(key))

    async def stream(self, key: str, chunk_bytes: int) -> AsyncIterator[bytes]:
        """Yield the bytes in order."""
        blob = await self.open(key)
        async for part in blob.parts(0, blob.size_bytes, chunk_bytes):
            yield part

    async def open(self, key: str, *, whole_bytes: int = 0) -> _FoundBlob:
        """Return the object as it is now."""
        return _FoundBlob(self, await self._threads.run(self._find, require_key(key)))

    async def fetch(self, blob: storage.Blob, start: int, count: int) -> bytes:
        """Return a part of a found object."""
        return await self._threads.run(self._window, blob, start, count)

    async def delete(self, key: str) -> None:
        """Forget the bytes, as far as the bucket's own policy (versions, soft delete) lets go of them."""
        await self._threads.run(self._delete, require_owner(key))

    async def keys(self, after: str, until: str) -> AsyncIterator[str]:
        """Yield the keys of a range, page by page, by a listing of that range alone."""
        # The end is exclusive; a key is never longer than ``until``, so one more character includes it.
        async for name in self._names(self._name(after), f"{self._name(until)}0"):
            if is_id(name) and name != after:
                yield name

    async def owners_of_variants(self, after: str, until: str) -> AsyncIterator[str]:
        """Yield the keys of a range that have variants, by a listing of these alone."""
        owner = after
        async for name in self._names(self._name(f"{after}/~"), self._name(f"{until}/~")):
            if (key := name.removeprefix(f"{_VARIANTS}/").partition("/")[0]) != owner:
                owner = key
                yield owner

    async def _names(self, start: str, end: str) -> AsyncIterator[str]:
        """Yield the names of objects from ``start`` up to ``end``, exclusive, without the store's prefix."""
        pages = await self._threads.run(self._pages, start, end)
        while names := await self._threads.run(self._next_page, pages):
            for name in names:
                yield name.removeprefix(self._prefix)

    async def sign(self, key: str, ttl: timedelta) -> str:
        """Return an address of the object, by a V4 signature: of the credentials' own key, or by Google's IAM.

        IAM needs the right ``iam.serviceAccounts.signBlob`` on the service account itself.
        """
        return await self._threads.run(self._sign, require_key(key), ttl)

    async def check(self) -> None:
        """Write and delete a small object, or say that the storage is not available."""
        await self._threads.run(self._check)

    async def close(self) -> None:
        """Close the connections and end the threads."""
        if self._client is not None:
            self._threads.start(self._client.close)
        self._threads.close()

    def _put(self, key: str, data: bytes, content_type: str) -> None:
        from google.api_core.exceptions import PreconditionFailed

        with self._translated():
            try:
                self._blob(key).upload_from_string(data, content_type, if_generation_match=0, **self._patience())
            except PreconditionFailed:
                # Somebody put this key before, or this very call did and its answer was lost.
                if not _holds(self._find(key), data):
                    raise BlobExistsError from None

    def _read(self, key: str) -> bytes:
        return self._download(self._find(key))

    def _find(self, key: str) -> storage.Blob:
        """Return the object with its size, checksums and generation."""
        with self._translated():
            blob = self._bucket().get_blob(self._name(key), **self._patience())
            if blob is None:
                self._require_bucket()
                raise BlobNotFoundError
            if blob.size > limits.MAX_STORED_BYTES:
                raise StorageUnavailableError("The storage holds something that is no picture.")
            return blob

    def _window(self, blob: storage.Blob, start: int, count: int) -> bytes:
        # The checksums that Google knows are of the whole.
        window = self._download(blob, start=start, end=start + count - 1, checksum=None)
        if len(window) != count:
            raise StorageUnavailableError("The storage lost a part of the picture.")
        return window

    def _download(self, blob: storage.Blob, **part: Any) -> bytes:
        from google.api_core.exceptions import NotFound

        with self._translated():
            try:
                data: bytes = blob.download_as_bytes(raw_download=True, **part, **self._patience())
            except NotFound as error:
                self._require_bucket()
                raise BlobNotFoundError from error
            return data

    def _delete(self, key: str) -> None:
        with self._translated():
            # The bytes first: then nobody makes another variant of them.
            self._delete_blob(self._blob(key))
            for variant in self._bucket().list_blobs(prefix=self._name(f"{key}/"), **self._patience()):
                self._delete_blob(variant)

    def _delete_blob(self, blob: storage.Blob) -> None:
        from google.api_core.exceptions import NotFound

        try:
            blob.delete(**self._patience())
        except NotFound:
            self._require_bucket()

    def _sign(self, key: str, ttl: timedelta) -> str:
        from google.auth.credentials import Signing
        from google.auth.transport.requests import Request

        with self._translated():
            blob = self._blob(key)
            credentials = blob.client._credentials
            by_iam: dict[str, str] = {}
            if not isinstance(credentials, Signing):
                if not hasattr(credentials, "service_account_email"):
                    raise StorageUnavailableError("The storage's credentials can't sign addresses.")
                credentials.refresh(Request())
                by_iam = {
                    "service_account_email": credentials.service_account_email,
                    "access_token": credentials.token,
                }
            address: str = blob.generate_signed_url(version="v4", expiration=ttl, method="GET", **by_iam)
            return address

    def _check(self) -> None:
        with self._translated():
            probe = self._bucket().blob(f"{self._prefix}check-{secrets.token_hex(8)}")
            probe.upload_from_string(b"", retry=None, timeout=self._timeout_s / 3)
            probe.delete(retry=None, timeout=self._timeout_s / 3)

    def _require_bucket(self) -> None:
        """Tell an object that is not there from a bucket that is not there."""
        list(self._bucket().list_blobs(max_results=1, prefix=self._prefix, **self._patience()))

    def _pages(self, start: str, end: str) -> Iterator[Any]:
        ends = {"start_offset": start, "end_offset": end}
        with self._translated():
            blobs = self._bucket().list_blobs(prefix=self._prefix or None, **ends, **self._patience())
            pages: Iterator[Any] = blobs.pages
            return pages

    def _next_page(self, pages: Iterator[Any]) -> list[str]:
        """Return the names of the next page that has some; none at the end."""
        with self._translated():
            for page in pages:
                if names := [blob.name for blob in page]:
                    return names
        return []

    def _name(self, key: str) -> str:
        # Hexadecimal digits sort before the variants' folder, so a listing of keys does not come by it.
        return self._prefix + (f"{_VARIANTS}/{key}" if "/" in key else key)

    def _blob(self, key: str) -> storage.Blob:
        return self._bucket().blob(self._name(key))

    def _bucket(self) -> storage.Bucket:
        with self._connecting:
            if self._client is None:
                self._client = _connect(self._connections)
        return self._client.bucket(self._bucket_name)

    def _patience(self) -> dict[str, Any]:
        from google.cloud.storage.retry import DEFAULT_RETRY

        return {"timeout": self._timeout_s / 3, "retry": DEFAULT_RETRY.with_timeout(self._timeout_s * 2 / 3)}

    @contextmanager
    def _translated(self) -> Iterator[None]:
        from google.api_core.exceptions import GoogleAPIError
        from google.auth.exceptions import GoogleAuthError
        from google.cloud.storage.exceptions import DataCorruption, InvalidResponse

        try:
            yield
        except (GoogleAPIError, GoogleAuthError, DataCorruption, InvalidResponse, OSError) as error:
            raise StorageUnavailableError from error


class _FoundBlob:
    """An ``OpenBlob`` in the bucket, of the generation that was found. Keeps 2 MiB in memory."""

    file = None
    whole = None

    def __init__(self, store: GcsBlobStore, blob: storage.Blob) -> None:
        self._store = store
        self._blob = blob
        self.size_bytes: int = blob.size

    async def parts(self, start: int, end: int, chunk_bytes: int) -> AsyncIterator[bytes]:
        """Yield the bytes of a range, which Google is asked for alone."""
        window_bytes = chunk_bytes * max(1, _WINDOW_BYTES // chunk_bytes)
        for begin in range(start, end, window_bytes):
            window = await self._store.fetch(self._blob, begin, min(window_bytes, end - begin))
            for offset in range(0, len(window), chunk_bytes):
                yield window[offset : offset + chunk_bytes]

    async def close(self) -> None:
        """Do nothing: nothing is held."""


def _connect(connections: int) -> storage.Client:
    import google.cloud.storage as storage
    from requests.adapters import HTTPAdapter

    # Else the library (3.17) asks for the bucket itself with the first call and after each 404, in threads of its own,
    # to label traces that nobody asked for. That needs ``storage.buckets.get``, which ``objectUser`` does not have.
    os.environ.setdefault("DISABLE_GCS_PYTHON_CLIENT_OTEL_BUCKET_METADATA", "true")
    client = storage.Client()
    # The session keeps ten connections unless told otherwise, and drops and reopens all above.
    client._http.mount("https://", HTTPAdapter(pool_maxsize=connections))
    client._http.mount("http://", HTTPAdapter(pool_maxsize=connections))
    return client


def _holds(blob: storage.Blob, data: bytes) -> bool:
    """Tell whether the object has these bytes, by the checksums that Google computed."""
    import google_crc32c

    crc32c = base64.b64encode(google_crc32c.value(data).to_bytes(4)).decode()
    md5 = base64.b64encode(hashlib.md5(data, usedforsecurity=False).digest()).decode()
    return blob.size == len(data) and blob.crc32c == crc32c and blob.md5_hash in (md5, None)
