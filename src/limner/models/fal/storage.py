"""Inputs: small ones travel in the request, larger ones are uploaded to fal's storage."""

import asyncio
import json
import logging
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from http import HTTPStatus
from typing import Any, Final

from limner.domain import limits
from limner.domain.backoff import Backoff
from limner.models.fal.answers import members
from limner.models.fal.queue import MEDIA_LIFETIME_S
from limner.models.fal.requests import Input
from limner.models.http.api import ProviderApi
from limner.models.http.results import ResultAddresses
from limner.outbound.answer import Response
from limner.outbound.body import DataUri, bytes_body, json_body
from limner.outbound.client import HttpClient, Request, Timeouts
from limner.outbound.errors import CallError, UnboughtError, UnreadableAnswerError
from limner.service.clock import utc_now
from limner.service.ports import InputPicture

log = logging.getLogger(__name__)

INLINE_BYTES: Final = 128 * limits.KIB
"""Largest picture that travels in the request; of all inputs of a task 2 MiB, or 2.7 MiB of JSON."""
_INLINE_AT_WORST_BYTES: Final = 4 * limits.MIB
"""Largest picture that travels in the request when fal's storage does not take it: of all inputs 64 MiB at most."""

_ATTEMPTS: Final = 3
_BACKOFF: Final = Backoff(first_s=0.2, longest_s=3.2, factor=4)
_TOKEN_MARGIN_S: Final = 60.0
_TIMEOUTS: Final = Timeouts(connect_s=5.0, first_byte_s=30.0, total_s=120.0)
_TOKEN_PATH: Final = "storage/auth/token?storage_type=fal-cdn-v3"  # noqa: S105 it is a path


@dataclass(frozen=True, slots=True)
class _Pass:
    """What an upload shows instead of the key."""

    authorization: str
    upload_url: str
    good_until: float
    """By the monotonic clock."""


class FalStorage:
    """Where inputs are put. An upload costs nothing, so it is tried again whatever went wrong."""

    def __init__(
        self,
        client: HttpClient,
        api: ProviderApi,
        addresses: ResultAddresses,
        *,
        clock: Callable[[], datetime] = utc_now,
    ) -> None:
        self._client = client
        self._api = api
        self._addresses = addresses
        self._clock = clock
        self._pass: _Pass | None = None
        self._renewing = asyncio.Lock()

    async def place(self, picture: InputPicture) -> Input:
        """Return the picture as a request takes it. Raises ``UnboughtError`` for a large one that can't be uploaded."""
        data, content_type = await picture.read(), picture.image.format.content_type
        if len(data) <= INLINE_BYTES:
            return DataUri(content_type, data)
        for failures in range(1, _ATTEMPTS):
            try:
                return await self._upload(data, content_type)
            except CallError as error:
                log.info("an input could not be uploaded to fal", extra={"why": str(error)})
            await asyncio.sleep(_BACKOFF.delay_s(failures))
        try:
            return await self._upload(data, content_type)
        except CallError as error:
            if len(data) > _INLINE_AT_WORST_BYTES:
                raise UnboughtError("an input could not be uploaded") from error
            log.warning("an input travels in the request, as fal's storage does not take it", extra={"why": str(error)})
            return DataUri(content_type, data)

    async def _upload(self, data: bytes, content_type: str) -> str:
        shown = await self._valid_pass()
        target = self._addresses.target(shown.upload_url)
        headers = {
            "Authorization": shown.authorization,
            "X-Fal-File-Name": f"input.{content_type.rpartition('/')[2]}",
            "X-Fal-Object-Lifecycle": json.dumps({"expiration_duration_seconds": MEDIA_LIFETIME_S}),
        }
        upload = Request(
            method="POST",
            url=target.url,
            body=bytes_body(data, content_type),
            headers=headers,
            timeouts=_TIMEOUTS,
            max_bytes=limits.MIB,
            public=target.public,
        )
        response = await self._client.send(upload)
        if response.status in (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN):
            self._pass = None
        address = _told(response).get("access_url")
        if not isinstance(address, str) or not address:
            raise UnreadableAnswerError("an upload without an address")
        return address

    async def _valid_pass(self) -> _Pass:
        async with self._renewing:
            if self._pass is None or time.monotonic() > self._pass.good_until:
                self._pass = await self._new_pass()
            return self._pass

    async def _new_pass(self) -> _Pass:
        told = _told(await self._api.post(_TOKEN_PATH, json_body({}), timeouts=_TIMEOUTS))
        try:
            ends = datetime.fromisoformat(told["expires_at"])
            left = ends.replace(tzinfo=ends.tzinfo or UTC) - self._clock()
            return _Pass(
                authorization=f"{told['token_type']} {told['token']}",
                upload_url=f"{told['base_url']}/files/upload",
                good_until=time.monotonic() + left.total_seconds() - _TOKEN_MARGIN_S,
            )
        except (KeyError, TypeError, ValueError) as error:
            raise UnreadableAnswerError("a token that can't be understood") from error


def _told(response: Response) -> Mapping[str, Any]:
    if response.status != HTTPStatus.OK:
        raise UnreadableAnswerError(f"status {response.status}")
    return members(response)
