"""Public keys that tokens may be signed with, and how one is chosen."""

import json
import logging
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Final, Protocol, TypeAlias

import jwt
from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePublicKey
from cryptography.hazmat.primitives.asymmetric.ed448 import Ed448PublicKey
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey

_logger = logging.getLogger(__name__)

PublicKey: TypeAlias = RSAPublicKey | EllipticCurvePublicKey | Ed25519PublicKey | Ed448PublicKey

ALGORITHMS: Final = ("RS256", "ES256", "EdDSA")
"""Every accepted way to sign. All are asymmetric, so a public key is never taken for a secret."""

RSA_KEY_BITS: Final = range(2048, 8192 + 1)
"""Shorter keys are weak (RFC 7518, section 3.3); the time of a check grows with the square of the length."""

_MAX_RSA_EXPONENT: Final = 2**32
_PUBLIC_MEMBERS: Final = {"RSA": ("kty", "n", "e"), "EC": ("kty", "crv", "x", "y"), "OKP": ("kty", "crv", "x")}
_ALGORITHM_OF: Final[Mapping[tuple[object, object], str]] = {
    ("RSA", None): "RS256",
    ("EC", "P-256"): "ES256",
    ("OKP", "Ed25519"): "EdDSA",
    ("OKP", "Ed448"): "EdDSA",
}


class KeysUnavailableError(Exception):
    """No key can be had. The text is for the operator: it may name files and addresses."""


@dataclass(frozen=True, slots=True)
class VerificationKey:
    """A public key, and the one algorithm of ``ALGORITHMS`` that its own type allows."""

    kid: str | None
    algorithm: str
    public_key: PublicKey


class KeySource(Protocol):
    """Knows the keys that tokens may be signed with now."""

    async def find(self, kid: str | None, algorithm: str) -> VerificationKey | None:
        """Return the one key that fits, or ``None`` when there is none, or more than one.

        ``kid`` is the key id that the token names; ``None`` when it names none, and then any key of the
        algorithm fits. Raises ``KeysUnavailableError`` when the keys are not known now.
        """

    async def close(self) -> None:
        """Release what the source holds. Nothing is called afterwards."""


class KeySet:
    """Some keys."""

    def __init__(self, keys: Iterable[VerificationKey] = ()) -> None:
        """Hold the keys; without any, no token is accepted."""
        self._keys = tuple(keys)

    @classmethod
    def from_jwks(cls, document: bytes) -> "KeySet":
        """Return the keys of a JWK set (RFC 7517, section 5) that can check signatures; others are left out.

        Takes up to about 0.1 ms a key. Raises ``KeysUnavailableError`` when it is no JWK set.
        """
        try:
            entries = json.loads(document)["keys"]
        except (ValueError, TypeError, KeyError, RecursionError) as error:
            raise KeysUnavailableError("it is not a JWK set: a JSON object with a list of keys") from error
        if not isinstance(entries, list):
            raise KeysUnavailableError("it is not a JWK set: its keys are not a list")
        return cls(_usable(entries))

    def find(self, kid: str | None, algorithm: str) -> VerificationKey | None:
        """Return the one key that fits, as ``KeySource.find``."""
        fitting = [key for key in self._keys if key.algorithm == algorithm and kid in (None, key.kid)]
        return fitting[0] if len(fitting) == 1 else None


def _usable(entries: Iterable[object]) -> Iterator[VerificationKey]:
    for number, entry in enumerate(entries):
        try:
            yield _verification_key(entry)
        except (jwt.PyJWTError, ValueError, TypeError) as error:
            _logger.info("key %d of the JWK set is not used: %s", number, error)


def _verification_key(jwk: object) -> VerificationKey:
    if not isinstance(jwk, dict):
        raise TypeError("it is not an object")
    algorithm = _algorithm_of(jwk)
    if jwk.get("use", "sig") != "sig" or "verify" not in jwk.get("key_ops", ["verify"]):
        raise ValueError("it is not meant for signatures")
    kid = jwk.get("kid")
    if kid is not None and not isinstance(kid, str):
        raise TypeError("its kid is not a string")
    # Only the public members, so that a private key that was published by mistake isn't even loaded.
    public = {name: jwk[name] for name in _PUBLIC_MEMBERS[jwk["kty"]] if name in jwk}
    public_key: PublicKey = jwt.PyJWK(public, algorithm).key
    if isinstance(public_key, RSAPublicKey):
        _check_size(public_key)
    return VerificationKey(kid, algorithm, public_key)


def _check_size(key: RSAPublicKey) -> None:
    if key.key_size not in RSA_KEY_BITS:
        raise ValueError(f"it has {key.key_size} bits, not {RSA_KEY_BITS.start} to {RSA_KEY_BITS.stop - 1}")
    if key.public_numbers().e > _MAX_RSA_EXPONENT:
        raise ValueError("its exponent makes checks slow")


def _algorithm_of(jwk: Mapping[str, object]) -> str:
    algorithm = _ALGORITHM_OF.get((jwk.get("kty"), jwk.get("crv")))
    if algorithm is None or jwk.get("alg", algorithm) != algorithm:
        raise ValueError(f"its kind is not for {', '.join(ALGORITHMS)}")
    return algorithm
