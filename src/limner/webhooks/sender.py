"""One attempt to deliver an event over http."""

import asyncio
import ssl
from collections.abc import Callable, Iterable, Mapping
from http import HTTPStatus
from typing import Any, Final

from yarl import URL

from limner.domain import limits
from limner.domain.task import Generation
from limner.outbound.body import bytes_body
from limner.outbound.client import HttpClient, Request, Timeouts
from limner.outbound.errors import CallError
from limner.outbound.resolver import PublicResolver
from limner.service.clock import Clock, utc_now
from limner.service.ports import Delivery, DeliveryError, ReceiverGoneError
from limner.webhooks.configuration import Webhook
from limner.webhooks.event import event_body
from limner.webhooks.signature import signature_header

TIMEOUT_S: Final = 15.0
"""For name, connection, request and the status of the answer together."""

_READ_AHEAD_BYTES: Final = 4 * limits.KIB
"""The body of an answer is not looked at; no more of it is taken in."""
_MAX_RETRY_AFTER_DIGITS: Final = 9


class HttpWebhookSender:
    """Posts signed events (``ports.WebhookSender``). Follows no redirect, keeps no cookie, reads no environment.

    ``write`` gives the REST form of a generation. ``resolver`` looks up the names of https addresses, and what it
    returns is what is connected to: it refuses what is not public. ``tls`` replaces the system's roots.
    """

    def __init__(
        self,
        webhooks: Iterable[Webhook],
        write: Callable[[Generation], Mapping[str, Any]],
        resolver: PublicResolver,
        *,
        tls: ssl.SSLContext | None = None,
        timeout_s: float = TIMEOUT_S,
        clock: Clock = utc_now,
    ) -> None:
        self._webhooks = {webhook.workspace: webhook for webhook in webhooks}
        self._write = write
        self._timeouts = Timeouts(connect_s=timeout_s, first_byte_s=timeout_s, total_s=timeout_s)
        # Whoever calls bounds the connections; one that idled might break under the next event.
        self._client = HttpClient(
            max_connections=0,
            tls=tls,
            resolver=resolver,
            keeps_connections=False,
            read_ahead_bytes=_READ_AHEAD_BYTES,
        )
        self._clock = clock
        self._writing = asyncio.Lock()

    @property
    def workspaces(self) -> frozenset[str]:
        """Those that have a webhook."""
        return frozenset(self._webhooks)

    async def send(self, delivery: Delivery, generation: Generation) -> None:
        """Make one attempt; return when the answer is 2xx."""
        webhook = self._webhooks[delivery.workspace_id]
        body = await self._body(generation)
        status, retry_after = await self._post(webhook, body, self._headers(webhook, delivery, body))
        if status == HTTPStatus.GONE:
            raise ReceiverGoneError("the receiver is gone")
        if not 200 <= status < 300:
            raise DeliveryError(f"the receiver answers with status {status}", retry_after_s=_seconds(retry_after))

    async def close(self) -> None:
        """Close all connections."""
        await self._client.close()

    async def _body(self, generation: Generation) -> bytes:
        """Write one event in each round of the event loop: ten images with long prompts take some milliseconds."""
        async with self._writing:
            await asyncio.sleep(0)
            return event_body(generation, self._write(generation))

    def _headers(self, webhook: Webhook, delivery: Delivery, body: bytes) -> dict[str, str]:
        timestamp_s = int(self._clock().timestamp())
        return {
            "webhook-id": delivery.id,
            "webhook-timestamp": str(timestamp_s),
            "webhook-signature": signature_header(webhook.secrets, delivery.id, timestamp_s, body),
        }

    async def _post(self, webhook: Webhook, body: bytes, headers: Mapping[str, str]) -> tuple[int, str]:
        """Return the status of the answer, and when it wants to be asked again."""
        request = Request(
            method="POST",
            url=URL(webhook.url, encoded=True),
            body=bytes_body(body, "application/json"),
            headers=headers,
            timeouts=self._timeouts,
            public=webhook.public,
        )
        try:
            async with self._client.stream(request) as answer:
                return answer.status, answer.headers.get("retry-after", "")
        except CallError as error:
            raise DeliveryError(f"there was no answer: {error}") from error


def _seconds(retry_after: str) -> float:
    """Read ``retry-after`` in seconds; a date counts as nothing."""
    text = retry_after.strip()
    return float(text) if text.isascii() and text.isdigit() and len(text) <= _MAX_RETRY_AFTER_DIGITS else 0.0
