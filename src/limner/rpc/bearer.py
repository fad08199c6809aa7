"""The access token in the ``authorization`` metadata of a call."""

import re
from collections.abc import Sequence
from typing import Final

from limner.domain.errors import CredentialsInvalidError, CredentialsMissingError

_BEARER: Final = re.compile(r" *bearer +([A-Za-z0-9\-._~+/]+=*) *", re.IGNORECASE)
"""RFC 6750, section 2.1."""


def bearer_token(values: Sequence[str]) -> str:
    """Return the token of ``Bearer <token>``, given every ``authorization`` value of one call.

    Raises ``CredentialsMissingError`` when there is no value or only a blank one, and
    ``CredentialsInvalidError`` for several values, another scheme or anything that is not one token.
    """
    if len(values) > 1:
        raise CredentialsInvalidError("The call carries more than one authorization header.")
    if not values or values[0].strip().lower() in ("", "bearer"):
        raise CredentialsMissingError
    match = _BEARER.fullmatch(values[0])
    if match is None:
        raise CredentialsInvalidError("The authorization header is not of the form: Bearer <token>.")
    return match[1]
