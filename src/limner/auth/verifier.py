"""The decision whether an access token is accepted."""

import hashlib
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping
from typing import Final

import jwt

from limner.auth.claims import ClaimNames, caller_of
from limner.auth.keys import ALGORITHMS, KeySource, KeysUnavailableError, VerificationKey
from limner.domain.errors import CredentialsInvalidError, ProviderUnavailableError
from limner.domain.limits import KIB, MAX_TOKEN_CHARS
from limner.service.caller import Caller

_MAX_REMEMBERED_CHARS: Final = 8 * KIB
"""Longer tokens are checked each time, so that what is remembered stays small."""

_MAX_TIME: Final = 2**53
"""Times are seconds since 1970; what a double can't hold exactly is not one."""


class JwtVerifier:
    """Accepts JWTs (RFC 7519) of known keys. A token that was accepted is remembered for a short while."""

    def __init__(
        self,
        keys: KeySource,
        *,
        issuer: str = "",
        audience: str = "",
        claim_names: ClaimNames | None = None,
        leeway_s: float = 30.0,
        remembered_tokens: int = 2048,
        remembered_s: float = 60.0,
        clock: Callable[[], float] = time.time,
    ) -> None:
        """Take ``keys`` over, to be closed with this.

        ``issuer`` and ``audience`` are not looked at when empty. ``leeway_s`` is how far clocks may differ.
        A withdrawn key still counts for ``remembered_s`` in tokens that were seen before.
        """
        self._keys = keys
        self._issuer = issuer
        self._audience = audience
        self._names = claim_names or ClaimNames()
        self._leeway_s = leeway_s
        self._accepted = _AcceptedTokens(remembered_tokens)
        self._remembered_s = remembered_s
        self._clock = clock

    async def verify(self, token: str) -> Caller:
        """As ``TokenVerifier.verify``; ``ProviderUnavailableError`` when no keys are known to check it with."""
        if len(token) > MAX_TOKEN_CHARS:
            raise CredentialsInvalidError(f"The access token is longer than {MAX_TOKEN_CHARS} characters.")
        if not token.isascii():
            raise CredentialsInvalidError("The access token is not a JWT.")
        # A digest, so that live tokens don't lie in memory.
        digest = hashlib.sha256(token.encode()).digest()
        caller = self._accepted.get(digest, self._clock())
        if caller is None:
            caller, until = await self._check(token)
            if len(token) <= _MAX_REMEMBERED_CHARS:
                self._accepted.add(digest, caller, until)
        return caller

    async def close(self) -> None:
        """Close the keys."""
        await self._keys.close()

    async def _check(self, token: str) -> tuple[Caller, float]:
        """Return who calls, and until when that may be remembered."""
        claims = self._claims(token, await self._key_of(token))
        now = self._clock()
        expires_at = self._check_times(claims, now)
        return caller_of(claims, self._names), min(expires_at + self._leeway_s, now + self._remembered_s)

    async def _key_of(self, token: str) -> VerificationKey:
        try:
            header = jwt.get_unverified_header(token)
        except jwt.PyJWTError as error:
            raise CredentialsInvalidError("The access token is not a JWT.") from error
        if "crit" in header:
            raise CredentialsInvalidError("The access token demands extensions (crit) that are not supported.")
        algorithm, kid = header.get("alg"), header.get("kid")
        if algorithm not in ALGORITHMS:
            raise CredentialsInvalidError(f"The access token is not signed with one of {', '.join(ALGORITHMS)}.")
        try:
            key = await self._keys.find(kid, algorithm)
        except KeysUnavailableError as error:
            raise ProviderUnavailableError("The access token can't be checked now. Try again later.") from error
        if key is None and kid is None:
            raise CredentialsInvalidError("The access token does not say which key it is signed by (kid).")
        if key is None:
            raise CredentialsInvalidError("The access token is signed by an unknown key.")
        return key

    def _claims(self, token: str, key: VerificationKey) -> Mapping[str, object]:
        try:
            return jwt.decode(
                token,
                key.public_key,
                algorithms=[key.algorithm],
                issuer=self._issuer or None,
                audience=self._audience or None,
                # Times and the user are checked here, more strictly than there.
                options={
                    "verify_aud": bool(self._audience),
                    "verify_exp": False,
                    "verify_nbf": False,
                    "verify_iat": False,
                    "verify_sub": False,
                    "verify_jti": False,
                },
            )
        except jwt.PyJWTError as error:
            raise CredentialsInvalidError(_refusal(error)) from error

    def _check_times(self, claims: Mapping[str, object], now: float) -> float:
        """Return when the token expires."""
        expires_at = _time(claims, "exp")
        if expires_at is None:
            raise CredentialsInvalidError("The access token does not say when it expires (exp).")
        if expires_at <= now - self._leeway_s:
            raise CredentialsInvalidError("The access token has expired.")
        for name in ("nbf", "iat"):
            if (_time(claims, name) or 0) > now + self._leeway_s:
                raise CredentialsInvalidError(f"The access token is not valid yet ({name}).")
        return expires_at


class _AcceptedTokens:
    """The callers of the tokens that were used last, by the digest of the token."""

    def __init__(self, capacity: int) -> None:
        self._capacity = capacity
        self._entries: OrderedDict[bytes, tuple[Caller, float]] = OrderedDict()

    def get(self, digest: bytes, now: float) -> Caller | None:
        entry = self._entries.get(digest)
        if entry is None:
            return None
        caller, until = entry
        if now >= until:
            self._entries.pop(digest)
            return None
        self._entries.move_to_end(digest)
        return caller

    def add(self, digest: bytes, caller: Caller, until: float) -> None:
        self._entries[digest] = (caller, until)
        if len(self._entries) > self._capacity:
            self._entries.popitem(last=False)


def _time(claims: Mapping[str, object], name: str) -> float | None:
    value = claims.get(name)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < _MAX_TIME:
        raise CredentialsInvalidError(f"The access token's {name} is not a time in seconds.")
    return float(value)


def _refusal(error: jwt.PyJWTError) -> str:
    claim = error.claim if isinstance(error, jwt.MissingRequiredClaimError) else ""
    if isinstance(error, jwt.InvalidAudienceError) or claim == "aud":
        return "The access token is for another audience."
    if isinstance(error, jwt.InvalidIssuerError) or claim == "iss":
        return "The access token is from another issuer."
    if isinstance(error, jwt.InvalidSignatureError):
        return "The access token's signature is wrong."
    return "The access token is not a JWT."
