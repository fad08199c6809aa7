"""One Gemini model: one call for each picture, side by side."""

import asyncio
import logging
from typing import Final

from limner.domain import limits
from limner.domain.errors import LimnerError
from limner.domain.model import ModelCapabilities
from limner.domain.task import UpscaleTask
from limner.models.google.answer import answer_of
from limner.models.google.calls import GeminiCalls
from limner.models.google.catalogue import API_KEY_VARIABLES, DEVELOPER_URL
from limner.models.google.request import content_body, require_room
from limner.models.google.tokens import VertexTokens
from limner.models.http.api import ProviderApi
from limner.models.http.breaker import CircuitBreaker
from limner.models.http.outcome import told
from limner.models.http.retry import RetryPolicy
from limner.models.tally import Tally
from limner.outbound.body import Body
from limner.outbound.budget import Share
from limner.outbound.client import HttpClient, Timeouts
from limner.outbound.errors import CallError
from limner.service.ports import Job, MadePicture, Order

log = logging.getLogger(__name__)

_SEEDS: Final = limits.MAX_SEED + 1
_VERTEX_PATH: Final = "/publishers/google"


class GeminiModel:
    """An ``ImageModel`` of Google's Gemini family, on the Developer API or, by its ``base_url``, on Vertex AI.

    ``base_url`` holds the version: ``https://generativelanguage.googleapis.com/v1beta``, or
    ``https://{region}-aiplatform.googleapis.com/v1/projects/{project}/locations/{region}/publishers/google``.
    Requests carry the ``api_key``, or on Vertex AI without one a token of ``tokens``. The API is synchronous: there
    is no job to ask for later, so that an outcome that nobody knows stays unknown.
    """

    def __init__(
        self,
        *,
        capabilities: ModelCapabilities,
        upstream_model: str,
        client: HttpClient,
        base_url: str = DEVELOPER_URL,
        api_key: str = "",
        api_key_env: str = API_KEY_VARIABLES[0],
        tokens: VertexTokens | None = None,
        breaker: CircuitBreaker | None = None,
        timeouts: Timeouts | None = None,
        retries: RetryPolicy | None = None,
    ) -> None:
        self._capabilities = capabilities
        self._vertex = _VERTEX_PATH in base_url
        self._tokens = tokens if self._vertex and not api_key else None
        self._unready = "" if api_key or self._tokens else f"{api_key_env} is not set"
        self._breaker = breaker or CircuitBreaker("google", capabilities.id)
        timeouts = timeouts or Timeouts()
        credentials = {"x-goog-api-key": api_key} if api_key else {}
        api = ProviderApi(client, base_url, credentials, timeouts)
        path = f"models/{upstream_model}:generateContent"
        self._calls = GeminiCalls(api, path, self._tokens, retries, timeouts.total_s)

    @property
    def capabilities(self) -> ModelCapabilities:
        """What it can do."""
        return self._capabilities

    def unready_reason(self) -> str:
        """Return which key is missing, or why no token was to be had; empty when it can work."""
        return self._tokens.unready_reason() if self._tokens else self._unready

    async def run(self, order: Order, job: Job) -> None:
        """Make the pictures. Cancelled, it closes its connections; what was asked for may be billed."""
        require_room(order.inputs, vertex=self._vertex)
        with self._breaker.attempt():
            await _Work(self._capabilities, self._calls, order, job).do()

    async def close(self) -> None:
        """Do nothing: the connections are the client's."""


class _Work:
    """One order at work."""

    def __init__(self, capabilities: ModelCapabilities, calls: GeminiCalls, order: Order, job: Job) -> None:
        self._capabilities, self._calls = capabilities, calls
        self._order, self._tally = order, Tally(order, job)

    async def do(self) -> None:
        """Make what can be made, and tell what can't; raise the gravest error when there is no picture at all."""
        self._tally.job.progress(0.0)
        try:
            async with asyncio.TaskGroup() as group:
                for index in range(self._order.task.num_images):
                    group.create_task(self._make(index))
        except* Exception as errors:
            raise errors.exceptions[0] from None
        self._tally.settle()

    async def _make(self, index: int) -> None:
        try:
            # What the answer takes is given back when its picture is kept.
            with self._calls.share() as share:
                await self._tally.made(await self._made(index, share))
        except CallError as error:
            log.warning("a provider made no picture", extra={"model": self._capabilities.id, "why": str(error)})
            self._tally.lost((index,), told(error))
        except LimnerError as error:
            self._tally.lost((index,), error)

    async def _made(self, index: int, share: Share) -> MadePicture:
        seed = (self._order.seed + index) % _SEEDS if self._capabilities.seeds else None
        prompt = self._tally.prompt
        response = await self._calls.ask(self._body(seed), index, self._tally.job, share, prompt)
        answer = answer_of(response, prompt)
        self._tally.describe(index, answer.words)
        if answer.error is not None:
            raise answer.error
        return MadePicture(index=index, data=answer.picture, seed=seed)

    def _body(self, seed: int | None) -> Body:
        if isinstance(self._order.task, UpscaleTask):
            raise TypeError("Gemini does not upscale")
        return content_body(self._order.task, self._order.inputs, seed)
