"""The keys that sign addresses of pictures: HMAC-SHA256, the first of them for new ones, all of them for old ones.

They come from a setting, alike for all replicas, or from a file of the data directory, made when it is missing: a line
for each. To change keys, put a new one first, and take the old one out when its last address has expired.
"""

import base64
import binascii
import hashlib
import hmac
import os
import secrets
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Final

from limner.domain.errors import CredentialsInvalidError

FILE: Final = "url-keys"
MIN_KEY_BYTES: Final = 32
_CONTEXT: Final = b"limner content address 1:"
_LOOK_AGAIN_S: Final = 5.0
_MAX_ADDRESS_CHARS: Final = 2048


class AddressKeyError(ValueError):
    """The keys can't be used; the message says why, and holds none of them."""


class AddressKeys:
    """Signs texts and knows its own signatures again."""

    def __init__(self, keys: Sequence[bytes]) -> None:
        """Take the keys, the one for new signatures first. Raises ``AddressKeyError``."""
        if not keys:
            raise AddressKeyError("there is no key")
        if any(len(key) < MIN_KEY_BYTES for key in keys):
            raise AddressKeyError(f"a key must have at least {MIN_KEY_BYTES} bytes, which are 44 characters in base64")
        self._keys = {_name(key): key for key in keys}
        self._newest = _name(keys[0])

    @classmethod
    def of_texts(cls, texts: Sequence[str]) -> "AddressKeys":
        """Read keys in base64."""
        try:
            return cls([base64.b64decode(text, altchars=b"-_" if set(text) & set("-_") else None) for text in texts])
        except binascii.Error as error:
            raise AddressKeyError("a key must be written in base64") from error

    def sign(self, text: bytes) -> str:
        """Return the text with its signature, as one part of a path."""
        shown = _encoded(text)
        return f"{shown}.{self._newest}.{_encoded(_mac(self._keys[self._newest], shown))}"

    def verify(self, signed: str) -> bytes:
        """Return the text. Raises ``CredentialsInvalidError`` for what was not signed by one of the keys."""
        shown, _, rest = signed[:_MAX_ADDRESS_CHARS].partition(".")
        name, _, mac = rest.partition(".")
        key = self._keys.get(name) if signed.isascii() else None
        if key is None or not hmac.compare_digest(_encoded(_mac(key, shown)).encode(), mac.encode()):
            raise CredentialsInvalidError("The address is not valid.")
        return base64.urlsafe_b64decode(shown + "=" * (-len(shown) % 4))


class AddressKeyFile:
    """The keys of a data directory, read again when the file changes, so that all of its workers change together."""

    def __init__(self, folder: Path, *, look_again_s: float = _LOOK_AGAIN_S) -> None:
        """Read the file, or make it with a new key. Raises ``AddressKeyError`` and ``OSError``."""
        self._path = folder / FILE
        self._look_again_s = look_again_s
        with suppress(FileExistsError):
            _make(self._path)
        self._looked_at = time.monotonic()
        self._changed_at = self._path.stat().st_mtime_ns
        self._keys = _read(self._path)

    def sign(self, text: bytes) -> str:
        """As ``AddressKeys.sign``."""
        return self._current().sign(text)

    def verify(self, signed: str) -> bytes:
        """As ``AddressKeys.verify``."""
        return self._current().verify(signed)

    def _current(self) -> AddressKeys:
        now = time.monotonic()
        if now - self._looked_at > self._look_again_s:
            self._looked_at = now
            with suppress(OSError, AddressKeyError):  # those that were right go on
                changed_at = self._path.stat().st_mtime_ns
                if changed_at != self._changed_at:
                    self._keys = _read(self._path)
                    self._changed_at = changed_at
        return self._keys


def _read(path: Path) -> AddressKeys:
    lines = (line.strip() for line in path.read_text().splitlines())
    return AddressKeys.of_texts([line for line in lines if line and not line.startswith("#")])


def _make(path: Path) -> None:
    """Make the file, whole from its first moment on. Raises ``FileExistsError``."""
    if path.exists():
        raise FileExistsError
    draft = path.with_name(f"{path.name}.{secrets.token_hex(8)}")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(descriptor, "w") as file:
            file.write(base64.b64encode(secrets.token_bytes(MIN_KEY_BYTES)).decode() + "\n")
        path.hardlink_to(draft)
    finally:
        draft.unlink()


def _name(key: bytes) -> str:
    return hashlib.sha256(b"name of " + key).hexdigest()[:8]


def _mac(key: bytes, shown: str) -> bytes:
    return hmac.digest(key, _CONTEXT + shown.encode(), "sha256")


def _encoded(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()
