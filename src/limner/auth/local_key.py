"""The service's own key, for a service that only this machine can reach."""

import contextlib
import hashlib
import json
import os
import tempfile
import time
from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from typing import Final, Self

import jwt
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)

from limner.auth.claims import ClaimNames, is_identifier
from limner.auth.keys import KeySet, VerificationKey
from limner.service.caller import Role

_FILE_NAME: Final = "local-key.pem"
_MAX_FILE_BYTES: Final = 4096
_ALGORITHM: Final = "ES256"


class LocalKeyError(Exception):
    """The key file can't be used; the text says why, for the operator."""


class LocalKey:
    """Signs tokens, and is the source of the key that checks them."""

    def __init__(
        self,
        private_key: ec.EllipticCurvePrivateKey,
        *,
        claim_names: ClaimNames | None = None,
        issuer: str = "",
        audience: str = "",
    ) -> None:
        """Sign with a P-256 key. ``issuer`` and ``audience`` are put into tokens unless empty."""
        self._private_key = private_key
        self._names = claim_names or ClaimNames()
        self._standing = {name: value for name, value in (("iss", issuer), ("aud", audience)) if value}
        self._kid = _thumbprint(private_key.public_key())
        self._keys = KeySet([VerificationKey(self._kid, _ALGORITHM, private_key.public_key())])

    @classmethod
    def of_directory(
        cls, data_dir: Path, *, claim_names: ClaimNames | None = None, issuer: str = "", audience: str = ""
    ) -> Self:
        """Read the key of a data directory, or make both; all processes that do this get the same key.

        The file has mode 0600. Raises ``LocalKeyError`` when the file is open to other users or broken,
        and ``OSError`` when the directory can't be written to. Blocks for some milliseconds.
        """
        path = data_dir / _FILE_NAME
        if not path.exists():
            data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
            _create(path)
        return cls(_read(path), claim_names=claim_names, issuer=issuer, audience=audience)

    @staticmethod
    def is_in(data_dir: Path) -> bool:
        """Return whether a data directory has a key."""
        return (data_dir / _FILE_NAME).exists()

    def issue(
        self,
        user_id: str,
        workspaces: Mapping[str, Role],
        *,
        admin: bool = False,
        ttl: timedelta = timedelta(hours=1),
    ) -> str:
        """Return a token, or raise ``ValueError`` for an id or a time that no verifier would accept."""
        if wrong := [text for text in (user_id, *workspaces) if not is_identifier(text)]:
            raise ValueError(f"{wrong[0]!r} is not an id: it must be 1 to 128 printable characters")
        if ttl <= timedelta(0):
            raise ValueError("the time to live must be more than nothing")
        now = int(time.time())
        claims = {
            self._names.user: user_id,
            self._names.workspaces: {workspace_id: role.value for workspace_id, role in workspaces.items()},
            **({self._names.admin: True} if admin else {}),
            **self._standing,
            "iat": now,
            "exp": int(now + ttl.total_seconds()),
        }
        return jwt.encode(claims, self._private_key, _ALGORITHM, headers={"kid": self._kid})

    def public_keys(self) -> str:
        """Return the key set (RFC 7517) with which others check the tokens, as JSON."""
        jwk = jwt.algorithms.ECAlgorithm.to_jwk(self._private_key.public_key(), as_dict=True)
        return json.dumps({"keys": [{**jwk, "kid": self._kid, "alg": _ALGORITHM, "use": "sig"}]})

    async def find(self, kid: str | None, algorithm: str) -> VerificationKey | None:
        """As ``KeySource.find``."""
        return self._keys.find(kid, algorithm)

    async def close(self) -> None:
        """As ``KeySource.close``."""


def _create(path: Path) -> None:
    private_key = ec.generate_private_key(ec.SECP256R1())
    pem = private_key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    descriptor, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with open(descriptor, "wb") as file:  # noqa: PTH123
            os.fchmod(descriptor, 0o600)
            file.write(pem)
            file.flush()
            os.fsync(descriptor)
        # A link, not a rename: the first of several processes wins, and the others see its whole file.
        with contextlib.suppress(FileExistsError):
            os.link(temporary, path)
    finally:
        Path(temporary).unlink()
    _sync_directory(path.parent)


def _sync_directory(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _read(path: Path) -> ec.EllipticCurvePrivateKey:
    try:
        with path.open("rb") as file:
            mode = os.fstat(file.fileno()).st_mode
            pem = file.read(_MAX_FILE_BYTES)
    except OSError as error:
        raise LocalKeyError(f"{path} can't be read: {error.strerror}") from error
    if mode & 0o077:
        raise LocalKeyError(f"{path} is open to other users: chmod 600 {path}")
    try:
        key = load_pem_private_key(pem, password=None)
    except (ValueError, TypeError) as error:
        raise LocalKeyError(f"{path} holds no private key; remove it to have a new one made") from error
    if not isinstance(key, ec.EllipticCurvePrivateKey) or key.curve.name != "secp256r1":
        raise LocalKeyError(f"{path} holds another kind of key than P-256; remove it to have a new one made")
    return key


def _thumbprint(public_key: ec.EllipticCurvePublicKey) -> str:
    """Return a name for the key that every process computes alike (RFC 7638)."""
    jwk = jwt.algorithms.ECAlgorithm.to_jwk(public_key, as_dict=True)
    canonical = json.dumps(jwk, sort_keys=True, separators=(",", ":"))
    return jwt.utils.base64url_encode(hashlib.sha256(canonical.encode()).digest()).decode()
