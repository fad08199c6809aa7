"""Requests that may cost money, each told to the job before it leaves."""

from collections.abc import Mapping
from contextlib import AbstractContextManager
from http import HTTPStatus
from typing import Final

from limner.domain import limits
from limner.domain.errors import LimnerError
from limner.models.google.faults import accepted
from limner.models.google.tokens import VertexTokens
from limner.models.http.api import ProviderApi
from limner.models.http.outcome import surely_unbought
from limner.models.http.retry import RetryPolicy, retry_surely_unbought
from limner.outbound.answer import Response
from limner.outbound.body import Body
from limner.outbound.budget import Share
from limner.outbound.errors import UnboughtError
from limner.service.ports import Job

_MAX_ANSWER_BYTES: Final = 2 * limits.MAX_STORED_BYTES
"""The largest picture in base64, and drafts of it."""


class GeminiCalls:
    """Calls of one model's ``generateContent``, each with the API's key or a token of ``tokens``."""

    def __init__(
        self, api: ProviderApi, path: str, tokens: VertexTokens | None, retries: RetryPolicy | None, within_s: float
    ) -> None:
        self._api = api
        self._path = path
        self._tokens = tokens
        self._retries = retries
        self._within_s = within_s

    def share(self) -> AbstractContextManager[Share]:
        """Hold what one call takes of the memory for answers; leaving gives it back."""
        return self._api.share()

    async def ask(self, body: Body, index: int, job: Job, share: Share, prompt: str = "") -> Response:
        """Ask for one picture, and again as long as surely nothing was bought and there is time.

        Raises what ``faults.accepted`` and ``VertexTokens.headers`` raise, and ``CallError``.
        """
        return await retry_surely_unbought(
            lambda: self._ask_once(body, index, job, share, prompt), self._retries, within_s=self._within_s
        )

    async def _ask_once(self, body: Body, index: int, job: Job, share: Share, prompt: str) -> Response:
        headers: Mapping[str, str] = await self._tokens.headers() if self._tokens else {}
        submission = await job.submitting((index,))
        try:
            response = await self._api.post(self._path, body, headers=headers, max_bytes=_MAX_ANSWER_BYTES, share=share)
            if response.status == HTTPStatus.UNAUTHORIZED and self._tokens and self._tokens.forget():
                raise UnboughtError("the token is no longer accepted", retry_after_s=0.0)
            return accepted(response, prompt)
        except (UnboughtError, LimnerError) as error:
            if surely_unbought(error):
                await submission.void()
            raise
