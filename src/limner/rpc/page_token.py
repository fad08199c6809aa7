"""Page tokens: opaque to clients, and valid only with the filters that they were made for."""

import base64
import binascii
import hashlib
from datetime import UTC, datetime, timedelta

from limner.domain import limits
from limner.domain.errors import FieldViolation, InvalidFieldError
from limner.domain.identifiers import is_id
from limner.domain.image import Cursor, ImageFilter

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


def encode(cursor: Cursor, workspace_id: str, where: ImageFilter) -> str:
    """Return the token of the page after the cursor."""
    micros = (cursor.created_at - _EPOCH) // _MICROSECOND
    text = f"{micros}.{cursor.image_id}.{_fingerprint(workspace_id, where)}"
    return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")


def decode(token: str, workspace_id: str, where: ImageFilter) -> Cursor:
    """Return the cursor, or raise ``InvalidFieldError`` for a token that is not from a list like this one."""
    if len(token) > limits.MAX_PAGE_TOKEN_CHARS:
        raise _invalid()
    try:
        text = base64.b64decode(token + "=" * (-len(token) % 4), altchars=b"-_", validate=True).decode()
        micros, image_id, fingerprint = text.split(".")
        created_at = _EPOCH + int(micros) * _MICROSECOND
    except (binascii.Error, ValueError, OverflowError) as error:
        raise _invalid() from error
    if not is_id(image_id) or fingerprint != _fingerprint(workspace_id, where):
        raise _invalid()
    return Cursor(created_at, image_id)


def _fingerprint(workspace_id: str, where: ImageFilter) -> str:
    parts = "\0".join((workspace_id, where.generation_id, where.created_by_user_id))
    return hashlib.sha256(parts.encode()).hexdigest()[:16]


def _invalid() -> InvalidFieldError:
    return InvalidFieldError([FieldViolation("pageToken", "is not a token of this list with these filters")])
