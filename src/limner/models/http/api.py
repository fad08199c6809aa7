"""A provider's API: one origin, and the credentials that go there and nowhere else."""

from collections.abc import Mapping
from contextlib import AbstractAsyncContextManager, AbstractContextManager

from yarl import URL

from limner.models.http.addresses import base_address, own_address
from limner.models.http.answer import Response
from limner.models.http.body import Body
from limner.models.http.budget import Share
from limner.models.http.client import MAX_ANSWER_BYTES, HttpClient, Stream, Timeouts


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

    def __repr__(self) -> str:
        """Return the origin, without the credentials."""
        return f"ProviderApi({self._base.origin()})"

    async def get(
        self,
        path: str,
        *,
        headers: Mapping[str, str] | None = None,
        timeouts: Timeouts | None = None,
        max_bytes: int = MAX_ANSWER_BYTES,
    ) -> Response:
        """Get a document."""
        return await self._request("GET", path, None, headers, timeouts, max_bytes)

    async def post(
        self,
        path: str,
        body: Body,
        *,
        headers: Mapping[str, str] | None = None,
        timeouts: Timeouts | None = None,
        max_bytes: int = MAX_ANSWER_BYTES,
        share: Share | None = None,
    ) -> Response:
        """Post a body."""
        return await self._request("POST", path, body, headers, timeouts, max_bytes, share)

    async def put(
        self,
        path: str,
        body: Body | None = None,
        *,
        headers: Mapping[str, str] | None = None,
        timeouts: Timeouts | None = None,
    ) -> Response:
        """Put a body, or nothing."""
        return await self._request("PUT", path, body, headers, timeouts, MAX_ANSWER_BYTES)

    def stream(
        self,
        method: str,
        path: str,
        body: Body | None = None,
        *,
        headers: Mapping[str, str] | None = None,
        timeouts: Timeouts | None = None,
        share: Share | None = None,
    ) -> AbstractAsyncContextManager[Stream]:
        """Send a request and enter when the headers of the answer are there."""
        return self._client.stream(
            method,
            self._url(path),
            body,
            headers=self._headers(headers),
            timeouts=timeouts or self._timeouts,
            share=share,
        )

    def share(self) -> AbstractContextManager[Share]:
        """Hold what one call takes of the memory for answers; leaving gives it back."""
        return self._client.budget.share()

    async def _request(
        self,
        method: str,
        path: str,
        body: Body | None,
        headers: Mapping[str, str] | None,
        timeouts: Timeouts | None,
        max_bytes: int,
        share: Share | None = None,
    ) -> Response:
        return await self._client.request(
            method,
            self._url(path),
            body,
            headers=self._headers(headers),
            timeouts=timeouts or self._timeouts,
            max_bytes=max_bytes,
            share=share,
        )

    def _headers(self, headers: Mapping[str, str] | None) -> dict[str, str]:
        return {**self._credentials, **(headers or {})}

    def _url(self, path: str) -> URL:
        return own_address(self._base, path)
