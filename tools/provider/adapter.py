"""The models of Acme: one call for each picture, answered at once.

What `make new-provider` wrote, as far as it goes: replace what is Acme's by what the vendor documents.
"""

import asyncio
from collections.abc import Mapping
from decimal import Decimal
from http import HTTPStatus
from typing import Final

from limner.domain import limits
from limner.domain.errors import LimnerError, Outcome, ProviderMisconfiguredError
from limner.domain.model import ModelCapabilities
from limner.domain.task import GenerateTask, Operation
from limner.models.complaint import Complaint
from limner.models.http.api import ProviderApi
from limner.models.http.breaker import CircuitBreaker
from limner.models.http.outcome import definite, surely_unbought, told
from limner.models.http.retry import RetryPolicy, retry_surely_unbought
from limner.models.judgement import late_refusal, refusal
from limner.models.tally import Tally
from limner.outbound.answer import Response, picture_bytes
from limner.outbound.body import json_body
from limner.outbound.budget import Share
from limner.outbound.client import HttpClient, Timeouts
from limner.outbound.errors import CallError, UnboughtError, UnreadableAnswerError
from limner.service.ports import Job, MadePicture, Order

BASE_URL: Final = "https://api.acme.example/v1"
API_KEY_ENV: Final = "ACME_API_KEY"
_PATH: Final = "images"
_SEEDS: Final = limits.MAX_SEED + 1
_MAX_ANSWER_BYTES: Final = 2 * limits.MAX_STORED_BYTES


def acme_capabilities(model_id: str) -> ModelCapabilities:
    """Return what the vendor documents of its model."""
    return ModelCapabilities(
        id=model_id,
        description="A model of Acme.",
        operations=(Operation.GENERATE,),
        aspect_ratios=("1:1", "16:9", "9:16"),
        seeds=True,
        price_usd=Decimal("0.04"),
    )


class AcmeModel:
    """An ``ImageModel`` of Acme.

    There is no job to ask for later, so that an outcome that nobody knows stays unknown.
    """

    def __init__(
        self,
        *,
        capabilities: ModelCapabilities,
        upstream_model: str,
        client: HttpClient,
        api_key: str,
        api_key_env: str = API_KEY_ENV,
        base_url: str = BASE_URL,
        breaker: CircuitBreaker | None = None,
        timeouts: Timeouts | None = None,
        retries: RetryPolicy | None = None,
    ) -> None:
        self._capabilities = capabilities
        self._upstream_model = upstream_model
        self._unready = "" if api_key else f"{api_key_env} is not set"
        self._breaker = breaker or CircuitBreaker("acme", capabilities.id)
        self._timeouts = timeouts or Timeouts()
        self._retries = retries
        self._api = ProviderApi(client, base_url, {"authorization": f"Bearer {api_key}"}, self._timeouts)

    @property
    def capabilities(self) -> ModelCapabilities:
        """What it can do."""
        return self._capabilities

    def unready_reason(self) -> str:
        """Return which key is missing; empty when it can work."""
        return self._unready

    async def run(self, order: Order, job: Job) -> None:
        """Make the pictures. Cancelled, it closes its connections; what was asked for may be billed."""
        with self._breaker.attempt():
            job.progress(0.0)
            tally = Tally(order, job)
            await asyncio.gather(*(self._make(index, tally) for index in range(order.task.num_images)))
            tally.settle()

    async def close(self) -> None:
        """Do nothing: the connections are the client's."""

    async def _make(self, index: int, tally: Tally) -> None:
        """Make and keep one picture, or note why it is lost."""
        seed = (tally.order.seed + index) % _SEEDS
        try:
            # What the answer takes of the memory is given back when its picture is kept.
            with self._api.share() as share:
                fields = _request(tally.order, self._upstream_model, seed)
                response = await retry_surely_unbought(
                    lambda: self._ask(fields, index, tally.job, share), self._retries, within_s=self._timeouts.total_s
                )
                await tally.made(MadePicture(index=index, data=_picture(response), seed=seed))
        except CallError as error:
            tally.lost((index,), told(error))
        except LimnerError as error:
            tally.lost((index,), error)

    async def _ask(self, fields: Mapping[str, object], index: int, job: Job, share: Share) -> Response:
        """Make one request that may cost money, told to the job before it leaves."""
        submission = await job.submitting((index,))
        try:
            response = await self._api.post(_PATH, json_body(fields), max_bytes=_MAX_ANSWER_BYTES, share=share)
            return _accepted(response, str(fields["prompt"]))
        except (UnboughtError, LimnerError) as error:
            if surely_unbought(error):
                await submission.void()
            raise


def _request(order: Order, upstream_model: str, seed: int) -> dict[str, object]:
    """Return the fields of a request in the vendor's words."""
    task = order.task
    if not isinstance(task, GenerateTask):
        raise TypeError(f"Acme can not {task.operation}")
    return {"model": upstream_model, "prompt": task.prompt, "aspect_ratio": task.aspect_ratio, "seed": seed}


def _accepted(response: Response, prompt: str) -> Response:
    """Return an answer of 2xx; raise what another one means for the caller, the operator and the bill."""
    if refused := refusal(response.status, Complaint.of(response, prompt)):
        raise refused
    if definite(response).status >= HTTPStatus.MULTIPLE_CHOICES:
        raise ProviderMisconfiguredError(outcome=Outcome.NOT_BOUGHT)
    return response


def _picture(response: Response) -> bytes:
    """Return the picture of an answer. Raises ``UnreadableAnswerError``, after which nobody knows what was bought."""
    document = response.json()
    if not isinstance(document, dict):
        raise UnreadableAnswerError("the answer is no object")
    if "image" not in document and (refused := late_refusal(Complaint.of(response))):
        raise refused
    return picture_bytes(document.get("image"))
