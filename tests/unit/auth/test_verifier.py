import base64
import json
import math
import time
from collections.abc import Callable
from typing import Any

import hypothesis
import jwt
import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.hmac import HMAC
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from hypothesis import strategies as st

from limner.auth.keys import KeySet, KeysUnavailableError, VerificationKey
from limner.auth.verifier import JwtVerifier
from limner.domain.errors import CredentialsInvalidError, ProviderUnavailableError
from limner.domain.limits import MAX_TOKEN_CHARS
from limner.service.caller import Caller, Role
from limner.service.ports import TokenVerifier
from tests.unit.auth.issuer import Clock, FixedKeys, Json, SigningKey, encode_part, jwks, signing_key

ANN = Caller(user_id="ann", workspaces={"w1": Role.MEMBER})
EC_KEY, RSA_KEY, ED_KEY = signing_key(), signing_key("r1", "RS256"), signing_key("e1", "EdDSA")
ISSUER, AUDIENCE = "https://id.example.com", "limner"


def verifier(*keys: SigningKey, **arguments: Any) -> JwtVerifier:
    return JwtVerifier(FixedKeys(*(keys or (EC_KEY, RSA_KEY, ED_KEY))), **arguments)


async def refusal(token: str, by: JwtVerifier | None = None) -> str:
    with pytest.raises(CredentialsInvalidError) as refused:
        await (by or verifier()).verify(token)
    return refused.value.message


@pytest.mark.parametrize("key", [EC_KEY, RSA_KEY, ED_KEY], ids=lambda key: key.algorithm)
async def test_accepts_a_token_of_a_known_key(key: SigningKey) -> None:
    assert await verifier().verify(key.token()) == ANN


async def test_a_token_without_key_id_is_accepted_when_one_key_fits() -> None:
    anonymous = SigningKey(None, "ES256", EC_KEY.private)
    assert await verifier().verify(anonymous.token()) == ANN


async def test_a_token_without_key_id_is_refused_when_several_keys_fit() -> None:
    anonymous = SigningKey(None, "ES256", EC_KEY.private)
    assert "(kid)" in await refusal(anonymous.token(), verifier(EC_KEY, signing_key("k2")))


def _unsigned(algorithm: str) -> str:
    _, payload, _ = EC_KEY.token().split(".")
    return f"{encode_part({'alg': algorithm, 'kid': 'k1'})}.{payload}."


def _signed_with_public_key_as_secret(secret: bytes, kid: str) -> str:
    signing_input = f"{encode_part({'alg': 'HS256', 'kid': kid})}.{EC_KEY.token().split('.')[1]}"
    mac = HMAC(secret, hashes.SHA256())
    mac.update(signing_input.encode())
    return f"{signing_input}.{encode_part(mac.finalize())}"


def _pem(key: SigningKey) -> bytes:
    return key.private.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)


def _resigned(header: Json, by: SigningKey | None = None, payload: object = None) -> str:
    claims = payload if payload is not None else {"sub": "eve", "exp": int(time.time()) + 60}
    return (by or SigningKey("k1", "ES256", ec.generate_private_key(ec.SECP256R1()))).sign(header, claims)


def _own_key_in_header(member: str) -> str:
    own = SigningKey("k1", "ES256", ec.generate_private_key(ec.SECP256R1()))
    address = "http://127.0.0.1:1/keys"
    return own.token(headers={member: own.jwk if member == "jwk" else address})


def _der_signature() -> str:
    signing_input = EC_KEY.token().rpartition(".")[0]
    assert isinstance(EC_KEY.private, ec.EllipticCurvePrivateKey)
    der = EC_KEY.private.sign(signing_input.encode(), ec.ECDSA(hashes.SHA256()))
    return f"{signing_input}.{encode_part(der)}"


def _pss_signature() -> str:
    signing_input = RSA_KEY.token().rpartition(".")[0]
    assert isinstance(RSA_KEY.private, rsa.RSAPrivateKey)
    pss = padding.PSS(padding.MGF1(hashes.SHA256()), 32)
    return f"{signing_input}.{encode_part(RSA_KEY.private.sign(signing_input.encode(), pss, hashes.SHA256()))}"


def _other_payload() -> str:
    header, _, signature = EC_KEY.token().split(".")
    return f"{header}.{encode_part({'sub': 'eve', 'exp': int(time.time()) + 60})}.{signature}"


def _signature(value: bytes) -> str:
    return EC_KEY.token().rpartition(".")[0] + "." + encode_part(value)


NOT_A_JWT, WRONG, UNKNOWN = "not a JWT", "signature is wrong", "unknown key"
NOT_SIGNED = "not signed with one of RS256, ES256, EdDSA"

ATTACKS: dict[str, tuple[Callable[[], str], str]] = {
    "alg none": (lambda: _unsigned("none"), NOT_SIGNED),
    "alg NONE": (lambda: _unsigned("NONE"), NOT_SIGNED),
    "alg empty": (lambda: _unsigned(""), NOT_SIGNED),
    "alg missing": (lambda: _resigned({"kid": "k1"}), NOT_SIGNED),
    "alg a list": (lambda: _resigned({"alg": ["ES256"], "kid": "k1"}), NOT_SIGNED),
    "alg null": (lambda: _resigned({"alg": None, "kid": "k1"}), NOT_SIGNED),
    "alg in other case": (lambda: EC_KEY.token(headers={"alg": "es256"}), NOT_SIGNED),
    "RSA key as HS256 secret, PEM": (lambda: _signed_with_public_key_as_secret(_pem(RSA_KEY), "r1"), NOT_SIGNED),
    "EC key as HS256 secret, PEM": (lambda: _signed_with_public_key_as_secret(_pem(EC_KEY), "k1"), NOT_SIGNED),
    "key as HS256 secret, JWK": (
        lambda: _signed_with_public_key_as_secret(json.dumps(EC_KEY.jwk).encode(), "k1"),
        NOT_SIGNED,
    ),
    "RS256 named for an EC key": (lambda: RSA_KEY.token(headers={"kid": "k1"}), UNKNOWN),
    "ES256 named for an RSA key": (lambda: EC_KEY.token(headers={"kid": "r1"}), UNKNOWN),
    "EdDSA named for an EC key": (lambda: EC_KEY.token(headers={"alg": "EdDSA"}), UNKNOWN),
    "PS256 for an RSA key": (lambda: RSA_KEY.token(headers={"alg": "PS256"}), NOT_SIGNED),
    "PSS signature called RS256": (_pss_signature, WRONG),
    "RS512 for an RSA key": (lambda: RSA_KEY.token(headers={"alg": "RS512"}), NOT_SIGNED),
    "own key under a known id": (lambda: _resigned({"alg": "ES256", "kid": "k1"}), WRONG),
    "own key, embedded as jwk": (lambda: _own_key_in_header("jwk"), WRONG),
    "own key, linked as jku": (lambda: _own_key_in_header("jku"), WRONG),
    "own key, linked as x5u": (lambda: _own_key_in_header("x5u"), WRONG),
    "unknown key id": (lambda: signing_key("k9").token(), UNKNOWN),
    "key id with a path": (lambda: EC_KEY.token(headers={"kid": "../../k1"}), UNKNOWN),
    "key id a number": (lambda: EC_KEY.token(headers={"kid": 1}), NOT_A_JWT),
    "key id null": (lambda: EC_KEY.token(headers={"kid": None}), NOT_A_JWT),
    "crit unknown": (lambda: EC_KEY.token(headers={"crit": ["exp"], "exp": 1}), NOT_A_JWT),
    "crit known to the library": (lambda: EC_KEY.token(headers={"crit": ["b64"], "b64": True}), "crit"),
    "crit empty": (lambda: EC_KEY.token(headers={"crit": []}), NOT_A_JWT),
    "payload outside": (lambda: EC_KEY.token(headers={"b64": False}), NOT_A_JWT),
    "another payload": (_other_payload, WRONG),
    "signature cut": (lambda: EC_KEY.token()[:-2], WRONG),
    "signature empty": (lambda: EC_KEY.token().rpartition(".")[0] + ".", WRONG),
    "signature of zeros": (lambda: _signature(bytes(64)), WRONG),
    "signature as DER": (_der_signature, WRONG),
    "payload a list": (lambda: _resigned({"alg": "ES256", "kid": "k1"}, EC_KEY, ["sub", "ann"]), NOT_A_JWT),
    "payload not JSON": (lambda: _resigned({"alg": "ES256", "kid": "k1"}, EC_KEY, b"ann"), NOT_A_JWT),
    "payload nested deeply": (lambda: _resigned({"alg": "ES256", "kid": "k1"}, EC_KEY, b"[" * 10_000), NOT_A_JWT),
    "header not JSON": (lambda: f"{encode_part(b'alg')}.e30.e30", NOT_A_JWT),
    "header a list": (lambda: f"{encode_part([1])}.e30.e30", NOT_A_JWT),
    "header nested deeply": (lambda: f"{encode_part(b'[' * 10_000)}.e30.e30", NOT_A_JWT),
    "two parts": (lambda: EC_KEY.token().rpartition(".")[0], NOT_A_JWT),
    "four parts": (lambda: EC_KEY.token() + ".e30", NOT_A_JWT),
    "five parts (JWE)": (lambda: "e30.e30.e30.e30.e30", NOT_A_JWT),
    "empty": (lambda: "", NOT_A_JWT),
    "dots": (lambda: "..", NOT_A_JWT),
    "not ASCII": (lambda: EC_KEY.token() + "ü", NOT_A_JWT),
    "lone surrogate": (lambda: EC_KEY.token() + "\ud800", NOT_A_JWT),
    "line break at the end": (lambda: EC_KEY.token() + "\n", NOT_A_JWT),
    "plain base64": (lambda: base64.b64encode(b"{}" * 40).decode(), NOT_A_JWT),
}


@pytest.mark.parametrize(("token", "says"), ATTACKS.values(), ids=ATTACKS.keys())
async def test_refuses_and_says_why(token: Callable[[], str], says: str) -> None:
    assert says in await refusal(token())


NOW = 1_800_000_000.0

TIMES: dict[str, tuple[Json, str]] = {
    "expired": ({"exp": NOW - 30}, "has expired"),
    "just in time": ({"exp": NOW - 29}, ""),
    "no expiry": ({"exp": None}, "when it expires"),
    "expiry as text": ({"exp": "1900000000"}, "exp is not a time"),
    "expiry true": ({"exp": True}, "exp is not a time"),
    "expiry a list": ({"exp": [NOW]}, "exp is not a time"),
    "expiry negative": ({"exp": -1}, "exp is not a time"),
    "expiry not a number": ({"exp": math.nan}, "exp is not a time"),
    "expiry never": ({"exp": math.inf}, "exp is not a time"),
    "expiry of 400 digits": ({"exp": 10**400}, "exp is not a time"),
    "expiry a fraction": ({"exp": NOW + 0.5}, ""),
    "starts soon": ({"nbf": NOW + 30}, ""),
    "starts later": ({"nbf": NOW + 31}, "not valid yet (nbf)"),
    "start as text": ({"nbf": "0"}, "nbf is not a time"),
    "issued now by a fast clock": ({"iat": NOW + 30}, ""),
    "issued in the future": ({"iat": NOW + 31}, "not valid yet (iat)"),
    "issued as text": ({"iat": "now"}, "iat is not a time"),
    "no time of issue": ({"iat": None}, ""),
}


@pytest.mark.parametrize(("claims", "says"), TIMES.values(), ids=TIMES.keys())
async def test_checks_times_with_leeway(claims: Json, says: str) -> None:
    token = EC_KEY.token(**{"iat": NOW, "exp": NOW + 60, **claims})
    checker = verifier(clock=Clock(NOW))
    if says:
        assert says in await refusal(token, checker)
    else:
        assert await checker.verify(token) == ANN


async def test_the_leeway_is_a_setting() -> None:
    token = EC_KEY.token(iat=NOW - 60, exp=NOW)
    assert "has expired" in await refusal(token, verifier(clock=Clock(NOW), leeway_s=0))
    assert await verifier(clock=Clock(NOW + 99), leeway_s=100).verify(token) == ANN


OTHER_AUDIENCE, OTHER_ISSUER = "for another audience", "from another issuer"
ADDRESSEES: dict[str, tuple[Json, str]] = {
    "right": ({"aud": AUDIENCE, "iss": ISSUER}, ""),
    "one of several audiences": ({"aud": ["other", AUDIENCE], "iss": ISSUER}, ""),
    "wrong audience": ({"aud": "other", "iss": ISSUER}, OTHER_AUDIENCE),
    "audience in other case": ({"aud": "Limner", "iss": ISSUER}, OTHER_AUDIENCE),
    "longer audience": ({"aud": "limner-admin", "iss": ISSUER}, OTHER_AUDIENCE),
    "no audience": ({"iss": ISSUER}, OTHER_AUDIENCE),
    "empty audience": ({"aud": [], "iss": ISSUER}, OTHER_AUDIENCE),
    "audience an object": ({"aud": {AUDIENCE: True}, "iss": ISSUER}, OTHER_AUDIENCE),
    "audiences not all text": ({"aud": [AUDIENCE, 7], "iss": ISSUER}, OTHER_AUDIENCE),
    "wrong issuer": ({"aud": AUDIENCE, "iss": "https://evil.example.com"}, OTHER_ISSUER),
    "issuer with slash": ({"aud": AUDIENCE, "iss": ISSUER + "/"}, OTHER_ISSUER),
    "no issuer": ({"aud": AUDIENCE}, OTHER_ISSUER),
    "issuer a list": ({"aud": AUDIENCE, "iss": [ISSUER]}, OTHER_ISSUER),
}


@pytest.mark.parametrize(("claims", "says"), ADDRESSEES.values(), ids=ADDRESSEES.keys())
async def test_checks_issuer_and_audience_when_set(claims: Json, says: str) -> None:
    checker = verifier(issuer=ISSUER, audience=AUDIENCE)
    if says:
        assert says in await refusal(EC_KEY.token(**claims), checker)
    else:
        assert await checker.verify(EC_KEY.token(**claims)) == ANN


@pytest.mark.parametrize("claims", [{"aud": "other", "iss": "other"}, {"aud": ["a", "b"]}, {"jti": 7}])
async def test_does_not_look_at_issuer_and_audience_when_unset(claims: Json) -> None:
    assert await verifier().verify(EC_KEY.token(**claims)) == ANN


async def test_refuses_long_tokens_before_parsing_them() -> None:
    keys = FixedKeys(EC_KEY)
    token = EC_KEY.token(filler="x" * MAX_TOKEN_CHARS)
    assert "longer than 16384 characters" in await refusal(token, JwtVerifier(keys))
    assert keys.questions == 0


async def test_accepts_tokens_up_to_the_limit() -> None:
    token = EC_KEY.token(filler="x" * 12_000)
    assert len(token) > MAX_TOKEN_CHARS - 500
    assert await verifier().verify(token) == ANN


async def test_a_token_without_user_is_refused() -> None:
    assert "does not name its user" in await refusal(EC_KEY.token(sub=None))


async def test_a_repeated_token_is_not_checked_again() -> None:
    keys = FixedKeys(EC_KEY)
    checker, token = JwtVerifier(keys), EC_KEY.token()
    assert [await checker.verify(token) for _ in range(3)] == [ANN] * 3
    assert keys.questions == 1


async def test_a_withdrawn_key_stops_counting_for_tokens_seen_before() -> None:
    keys, clock = FixedKeys(EC_KEY), Clock(NOW)
    checker, token = JwtVerifier(keys, clock=clock, remembered_s=60), EC_KEY.token(iat=NOW, exp=NOW + 3600)
    await checker.verify(token)
    keys.keys = KeySet()
    clock.now += 59
    assert await checker.verify(token) == ANN
    clock.now += 1
    assert UNKNOWN in await refusal(token, checker)


async def test_a_remembered_token_expires_on_time() -> None:
    clock = Clock(NOW)
    checker, token = verifier(clock=clock, leeway_s=0), EC_KEY.token(iat=NOW, exp=NOW + 10)
    await checker.verify(token)
    clock.now += 9.9
    assert await checker.verify(token) == ANN
    clock.now += 0.1
    assert "has expired" in await refusal(token, checker)


async def test_refused_tokens_are_not_remembered() -> None:
    keys = FixedKeys(EC_KEY)
    checker, token = JwtVerifier(keys), signing_key("k2").token()
    assert UNKNOWN in await refusal(token, checker)
    keys.keys = KeySet.from_jwks(jwks(signing_key("k2")))
    assert await checker.verify(token) == ANN


async def test_the_tokens_used_last_are_remembered() -> None:
    keys = FixedKeys(EC_KEY)
    checker = JwtVerifier(keys, remembered_tokens=2)
    first, second, third = (EC_KEY.token(jti=str(number)) for number in range(3))
    for token in (first, second, first, third, first):
        await checker.verify(token)
    assert keys.questions == 3
    await checker.verify(second)
    assert keys.questions == 4


async def test_a_token_that_differs_in_its_signature_alone_is_checked() -> None:
    checker, token = verifier(), EC_KEY.token()
    await checker.verify(token)
    assert WRONG in await refusal(token.rpartition(".")[0] + "." + "A" * 86, checker)


async def test_says_that_it_can_not_check_when_no_keys_are_known() -> None:
    class NoKeys(FixedKeys):
        async def find(self, kid: str | None, algorithm: str) -> VerificationKey | None:
            raise KeysUnavailableError("no keys from https://id.internal/keys")

    with pytest.raises(ProviderUnavailableError) as failure:
        await JwtVerifier(NoKeys()).verify(EC_KEY.token())
    assert "internal" not in failure.value.message


async def test_closing_closes_the_keys() -> None:
    keys = FixedKeys()
    checker: TokenVerifier = JwtVerifier(keys)
    await checker.close()
    assert keys.closed


@hypothesis.given(data=st.data())
@hypothesis.settings(max_examples=150, deadline=None)
async def test_nonsense_is_refused_and_never_crashes(data: st.DataObject) -> None:
    anything = st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
        lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
        max_leaves=5,
    )
    names = st.sampled_from(["alg", "kid", "crit", "b64", "typ", "exp", "nbf", "iat", "sub", "aud", "workspaces"])
    header = {"alg": "ES256", "kid": "k1", **data.draw(st.dictionaries(names, anything, max_size=2))}
    payload = data.draw(anything | st.dictionaries(names, anything))
    try:
        caller = await verifier(issuer="", audience=data.draw(st.sampled_from(["", "a"]))).verify(
            EC_KEY.sign(header, payload)
        )
    except CredentialsInvalidError as error:
        assert error.message
    else:
        assert caller.user_id
    with pytest.raises(CredentialsInvalidError):
        await verifier().verify(data.draw(st.text(st.sampled_from("eyJ0.-_A="), max_size=60)))


def test_the_library_still_names_the_claim_that_is_missing() -> None:
    assert jwt.MissingRequiredClaimError("aud").claim == "aud"
