import json
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed448, rsa

from limner.auth.keys import KeySet, KeysUnavailableError
from tests.unit.auth.issuer import Json, SigningKey, jwks, signing_key

ES256 = signing_key().jwk
RS256 = signing_key("r1", "RS256").jwk


def _rsa(bits: int, **members: object) -> Json:
    # Only n counts here, so it need not be a product of primes: 16384-bit keys take minutes to make.
    n = (1 << (bits - 1)) | 1
    return {**RS256, "n": jwt.utils.to_base64url_uint(n).decode(), "kid": "k1", **members}


def _curve(curve: ec.EllipticCurve, algorithm: str) -> Json:
    return SigningKey("k1", algorithm, ec.generate_private_key(curve)).jwk


@pytest.mark.parametrize("algorithm", ["RS256", "ES256", "EdDSA"])
def test_finds_a_key_by_id_and_algorithm(algorithm: str) -> None:
    key = KeySet.from_jwks(jwks(signing_key("k1", algorithm))).find("k1", algorithm)
    assert key is not None
    assert (key.kid, key.algorithm) == ("k1", algorithm)


def test_takes_ed448_keys() -> None:
    key = SigningKey("k1", "EdDSA", ed448.Ed448PrivateKey.generate())
    assert KeySet.from_jwks(jwks(key)).find("k1", "EdDSA") is not None


@pytest.mark.parametrize("bits", [2048, 4096, 8192])
def test_takes_rsa_keys_of_usual_sizes(bits: int) -> None:
    assert KeySet.from_jwks(jwks(_rsa(bits))).find("k1", "RS256") is not None


UNFIT: dict[str, Any] = {
    "for encryption": {**ES256, "use": "enc"},
    "operations without verify": {**ES256, "key_ops": ["sign", "encrypt"]},
    "another algorithm of its type": {**RS256, "kid": "k1", "alg": "PS256"},
    "algorithm of another type": {**ES256, "alg": "RS256"},
    "symmetric algorithm on a public key": {**RS256, "kid": "k1", "alg": "HS256"},
    "secret": {"kty": "oct", "k": "c2VjcmV0", "kid": "k1"},
    "secret that claims ES256": {"kty": "oct", "k": "c2VjcmV0", "kid": "k1", "alg": "ES256"},
    "P-384": _curve(ec.SECP384R1(), "ES384"),
    "secp256k1": _curve(ec.SECP256K1(), "ES256K"),
    "key agreement curve": {"kty": "OKP", "crv": "X25519", "x": "A" * 43, "kid": "k1"},
    "weak RSA": _rsa(2047),
    "oversized RSA": _rsa(8193),
    "huge RSA": _rsa(16384),
    "huge RSA exponent": _rsa(2048, e=jwt.utils.to_base64url_uint((1 << 2040) + 1).decode()),
    "point beside the curve": {**ES256, "y": ES256["x"]},
    "no coordinates": {"kty": "EC", "crv": "P-256", "kid": "k1"},
    "coordinates of another type": {**ES256, "x": 7, "y": None},
    "kid of another type": {**ES256, "kid": 7},
    "kty of another type": {**ES256, "kty": ["EC"]},
    "use of another type": {**ES256, "use": ["sig"]},
    "key_ops of another type": {**ES256, "key_ops": 7},
    "text": "k1",
    "nothing": None,
}


@pytest.mark.parametrize("entry", UNFIT.values(), ids=UNFIT.keys())
def test_leaves_out_keys_that_are_not_for_signatures_and_keeps_the_rest(entry: object) -> None:
    keys = KeySet.from_jwks(json.dumps({"keys": [entry, signing_key("good").jwk]}).encode())
    assert all(keys.find(kid, algorithm) is None for kid in ("k1", "r1") for algorithm in ("RS256", "ES256", "EdDSA"))
    assert keys.find("good", "ES256") is not None


def test_a_private_key_published_by_mistake_is_not_loaded() -> None:
    private = signing_key().private
    assert isinstance(private, ec.EllipticCurvePrivateKey)
    jwk = {**jwt.algorithms.ECAlgorithm.to_jwk(private, as_dict=True), "kid": "k1"}
    key = KeySet.from_jwks(jwks(jwk)).find("k1", "ES256")
    assert key is not None
    assert isinstance(key.public_key, ec.EllipticCurvePublicKey)


def test_without_an_id_the_only_key_of_the_algorithm_fits() -> None:
    keys = KeySet.from_jwks(jwks(signing_key("k1"), signing_key("k2", "EdDSA")))
    key = keys.find(None, "ES256")
    assert key is not None
    assert key.kid == "k1"


def test_without_an_id_none_of_two_keys_fits() -> None:
    assert KeySet.from_jwks(jwks(signing_key("k1"), signing_key("k2"))).find(None, "ES256") is None


def test_none_of_two_keys_of_one_id_fits() -> None:
    other = {**signing_key("k2").jwk, "kid": "k1"}
    assert KeySet.from_jwks(jwks(signing_key("k1"), other)).find("k1", "ES256") is None


def test_keys_of_one_id_and_different_types_are_told_apart() -> None:
    keys = KeySet.from_jwks(jwks(signing_key("k1"), signing_key("k1", "RS256")))
    assert keys.find("k1", "ES256") is not None
    found = keys.find("k1", "RS256")
    assert found is not None
    assert isinstance(found.public_key, rsa.RSAPublicKey)


@pytest.mark.parametrize(
    "document", [b"", b"{", b"[]", b"7", b"null", b"{}", b'{"keys": {}}', b'{"keys": "k1"}', b"\xff\xfe", b"[" * 60_000]
)
def test_says_when_it_is_no_key_set(document: bytes) -> None:
    with pytest.raises(KeysUnavailableError, match="not a JWK set"):
        KeySet.from_jwks(document)


def test_an_empty_set_is_a_key_set() -> None:
    assert KeySet.from_jwks(b'{"keys": []}').find(None, "ES256") is None
