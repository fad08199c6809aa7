"""What all models of one key share."""

import asyncio
from collections.abc import Iterable
from typing import Final

from limner.models.fal.catalogue import BASE_URL, KEY_VARIABLE
from limner.models.fal.queue import FalQueue, Patience
from limner.models.fal.storage import FalStorage
from limner.models.http.api import ProviderApi
from limner.models.http.results import ResultAddresses, ResultFetcher
from limner.outbound.client import HttpClient, Timeouts

_STORAGE_URL: Final = "https://rest.fal.ai"
_MEDIA_HOSTS: Final = ("fal.media", "*.fal.media")
_HANDS: Final = 8
"""How many pictures are in memory at a time, on their way in or out: at most 64 MiB each, mostly 2."""


class FalAccount:
    """A key, and where it is used.

    ``base_url`` is the queue's; the storage is fal's own beside fal's own queue, and else looked for at the same
    origin. ``result_hosts`` are hosts that pictures may come from, and go to, beside fal's own.
    Raises ``ValueError`` for a ``base_url`` or host that is none.
    """

    def __init__(
        self,
        client: HttpClient,
        api_key: str,
        *,
        base_url: str = BASE_URL,
        result_hosts: Iterable[str] = (),
        key_variable: str = KEY_VARIABLE,
        patience: Patience | None = None,
        result_timeouts: Timeouts | None = None,
    ) -> None:
        credentials = {"Authorization": f"Key {api_key}"}
        addresses = ResultAddresses(base_url=base_url, hosts=[*_MEDIA_HOSTS, *result_hosts])
        storage_url = _STORAGE_URL if base_url.rstrip("/") == BASE_URL else base_url
        self.patience = patience or Patience()
        self.queue = FalQueue(ProviderApi(client, base_url, credentials), base_url, self.patience)
        self.storage = FalStorage(client, ProviderApi(client, storage_url, credentials), addresses)
        self.results = ResultFetcher(client, addresses, result_timeouts or Timeouts(first_byte_s=20.0, total_s=120.0))
        self.hands = asyncio.Semaphore(_HANDS)
        self._missing_key = "" if api_key else f"{key_variable} is not set"

    def unready_reason(self) -> str:
        """Return why nothing can be asked, or an empty text."""
        return self._missing_key
