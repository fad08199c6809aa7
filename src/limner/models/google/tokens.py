"""Access tokens for Vertex AI, of the application's default credentials.

Those are, in google-auth's order: the file that ``GOOGLE_APPLICATION_CREDENTIALS`` names, the login of ``gcloud``,
the service account of the machine. All of google-auth runs in a thread: it blocks.
"""

import asyncio
import functools
import time
from collections.abc import Callable, Mapping
from typing import Any, Final, Protocol

from limner.domain.errors import LimnerError, Outcome, ProviderMisconfiguredError, ProviderUnavailableError

_SCOPE: Final = "https://www.googleapis.com/auth/cloud-platform"
_REQUEST_TIMEOUT_S: Final = 10.0
_FAILURE_COUNTS_S: Final = 10.0
"""How long a failure is told again before another token is asked for."""
_YOUNG_S: Final = 60.0
"""Another token does not help against a 401 when this one is younger."""


class Credentials(Protocol):
    """What is used of google-auth's credentials."""

    token: str | None

    @property
    def token_state(self) -> Any:
        """``FRESH``, ``STALE`` (good for some minutes) or ``INVALID``."""

    @property
    def quota_project_id(self) -> str | None:
        """The project that is billed, when it is not the credentials' own."""

    def refresh(self, request: Any) -> None:
        """Get another token."""


class VertexTokens:
    """Keeps one token, and gets the next one before it ends; callers wait only when there is none."""

    def __init__(self, load: Callable[[], Credentials] | None = None, *, clock: Callable[[], float] = time.monotonic):
        self._load = load or _application_default
        self._clock = clock
        self._credentials: Credentials | None = None
        self._renewing: asyncio.Task[None] | None = None
        self._renewed_at = 0.0
        self._failure: LimnerError | None = None
        self._failed_at = 0.0

    def unready_reason(self) -> str:
        """Return why no token was to be had a moment ago; empty when none was asked for, or one came."""
        return str(self._fresh_failure() or "")

    async def headers(self) -> Mapping[str, str]:
        """Return the headers that let a request in.

        Raises ``ProviderMisconfiguredError`` or ``ProviderUnavailableError``, both with ``outcome: not_bought``.
        """
        state = _state(self._credentials)
        if state != "FRESH":
            renewing = self._renew_once()
            if state == "INVALID":
                await asyncio.shield(renewing)
        credentials = self._credentials
        if credentials is None or _state(credentials) == "INVALID":
            raise self._failure or _no_token()
        headers = {"authorization": f"Bearer {credentials.token}"}
        if credentials.quota_project_id:
            headers["x-goog-user-project"] = credentials.quota_project_id
        return headers

    def forget(self) -> bool:
        """Drop the token, which was not accepted; return whether another one may be."""
        if self._credentials is None or self._clock() - self._renewed_at < _YOUNG_S:
            return False
        self._credentials.token = None
        return True

    def _fresh_failure(self) -> LimnerError | None:
        return self._failure if self._failure and self._clock() - self._failed_at < _FAILURE_COUNTS_S else None

    def _renew_once(self) -> "asyncio.Task[None]":
        if self._renewing is None or (self._renewing.done() and self._fresh_failure() is None):
            self._renewing = asyncio.create_task(self._renew(), name="vertex-token")
        return self._renewing

    async def _renew(self) -> None:
        try:
            self._credentials = await asyncio.to_thread(self._renewed, self._credentials)
        except LimnerError as error:
            self._failure, self._failed_at = error, self._clock()
        else:
            self._failure, self._renewed_at = None, self._clock()

    def _renewed(self, credentials: Credentials | None) -> Credentials:
        from google.auth.exceptions import GoogleAuthError, TransportError
        from google.auth.transport.requests import Request

        try:
            credentials = credentials or self._load()
            credentials.refresh(functools.partial(Request(), timeout=_REQUEST_TIMEOUT_S))
        except GoogleAuthError as error:
            if error.retryable or isinstance(error, TransportError):
                raise _no_token() from error
            raise ProviderMisconfiguredError(
                "There are no Google Cloud credentials that work. Tell the operator.", outcome=Outcome.NOT_BOUGHT
            ) from error
        return credentials


def _application_default() -> Credentials:
    import google.auth

    credentials, _ = google.auth.default(scopes=[_SCOPE])
    return credentials


def _state(credentials: Credentials | None) -> str:
    return "INVALID" if credentials is None else str(credentials.token_state.name)


def _no_token() -> ProviderUnavailableError:
    return ProviderUnavailableError("Google gives no access token now.", outcome=Outcome.NOT_BOUGHT)
