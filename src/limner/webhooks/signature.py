"""Signatures by Standard Webhooks 1.0: HMAC-SHA256 with a secret that both sides know."""

import base64
import hashlib
import hmac
from collections.abc import Iterable
from typing import Final

_PREFIX: Final = "whsec_"
_SECRET_BYTES: Final = range(24, 64 + 1)


def read_secret(text: str) -> bytes:
    """Return the key of a secret ``whsec_<base64>``, or raise ``ValueError``."""
    try:
        secret = base64.b64decode(text.removeprefix(_PREFIX), validate=True)
    except ValueError:
        secret = b""
    if not text.startswith(_PREFIX) or len(secret) not in _SECRET_BYTES:
        raise ValueError(f"must be {_PREFIX} and the base64 of {_SECRET_BYTES[0]} to {_SECRET_BYTES[-1]} bytes")
    return secret


def signature_header(secrets: Iterable[bytes], message_id: str, timestamp_s: int, body: bytes) -> str:
    """Return ``webhook-signature``: one signature for each secret, of which the receiver needs to know one."""
    signed = f"{message_id}.{timestamp_s}.".encode() + body
    digests = (hmac.digest(secret, signed, hashlib.sha256) for secret in secrets)
    return " ".join(f"v1,{base64.b64encode(digest).decode()}" for digest in digests)
