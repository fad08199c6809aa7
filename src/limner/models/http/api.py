"""A provider's API: one origin, and the credentials that go there and nowhere else."""

from collections.abc import Mapping
from contextlib import AbstractAsyncContextManager, AbstractContextManager
from typing import TypedDict, Unpack

from limner.outbound.addresses import base_address, own_address
from limner.outbound.answer import Response
from limner.outbound.body import Body
from limner.outbound.budget import Share
from limner.outbound.client import MAX_ANSWER_BYTES, HttpClient, Request, Timeouts
from limner.outbound.hosts import is_internal
from limner.outbound.stream import Stream
from limner.service import tracing


class Options(TypedDict, total=False):
    """What one request may have beside the API's own."""

    headers: Mapping[str, str]
    timeouts: Timeouts
    max_bytes: int
    share: Share | None


class ProviderApi:
    """Requests to one origin.

    ``path`` is relative to ``base_url`` (``images/generations``), or a whole address that the provider named, which
    must be of the same scheme, host and port: else ``ForeignAddressError`` is raised and nothing is sent.
    ``credentials`` are headers of every request, ``headers`` those of one (a fresh token).
    The methods raise what ``HttpClient`` raises, and return an answer of any status.
    """

    def __init__(
        self,
        client: HttpClient,
        base_url: str,
        credentials: Mapping[str, str] | None = None,
        timeouts: Timeouts | None = None,
    ) -> None:
        self._client = client
        self._base = base_address(base_url)
        self._credentials = dict(credentials or {})
        self._timeouts = timeouts or Timeouts()
        self._is_own = is_internal(self._base.host or "")

    def __repr__(self) -> str:
        """Return the origin, without the credentials."""
        return f"ProviderApi({self._base.origin()})"

    async def get(self, path: str, **options: Unpack[Options]) -> Response:
        """Get a document."""
        return await self._client.send(self._request("GET", path, None, options))

    async def post(self, path: str, body: Body, **options: Unpack[Options]) -> Response:
        """Post a body."""
        return await self._client.send(self._request("POST", path, body, options))

    async def put(self, path: str, body: Body | None = None, **options: Unpack[Options]) -> Response:
        """Put a body, or nothing."""
        return await self._client.send(self._request("PUT", path, body, options))

    def stream(
        self, method: str, path: str, body: Body | None = None, **options: Unpack[Options]
    ) -> AbstractAsyncContextManager[Stream]:
        """Send a request and enter when the headers of the answer are there."""
        return self._client.stream(self._request(method, path, body, options))

    def share(self) -> AbstractContextManager[Share]:
        """Hold what one call takes of the memory for answers; leaving gives it back."""
        return self._client.budget.share()

    def _trace(self) -> dict[str, str]:
        """Return what lets a server of one's own go on with the trace. Vendors learn nothing of it."""
        parent = tracing.traceparent() if self._is_own else ""
        return {"traceparent": parent} if parent else {}

    def _request(self, method: str, path: str, body: Body | None, options: Options) -> Request:
        return Request(
            method=method,
            url=own_address(self._base, path),
            body=body,
            headers={**self._credentials, **options.get("headers", {}), **self._trace()},
            timeouts=options.get("timeouts", self._timeouts),
            max_bytes=options.get("max_bytes", MAX_ANSWER_BYTES),
            share=options.get("share"),
        )
