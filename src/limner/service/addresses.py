"""Addresses under which anybody gets a picture for a while, without an access token."""

import json
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

from limner.domain.errors import CredentialsInvalidError, FieldViolation
from limner.service.clock import Clock
from limner.service.contents import Content, Contents
from limner.service.ports import AddressSigner, ForeignAddresses

PATH: Final = "/v1/content/"
DEFAULT_TTL_S: Final = 3600
MAX_TTL_S: Final = 7 * 24 * 3600


@dataclass(frozen=True, slots=True)
class SignedAddress:
    """An address that needs no token."""

    url: str
    """Whole, or a path of this service."""
    expires_at: datetime


@dataclass(frozen=True, slots=True)
class SharedContent:
    """What a signed address leads to, and for how long."""

    content: Content
    expires_at: datetime


class SignedAddresses:
    """Makes addresses, which are not kept anywhere, and follows them."""

    def __init__(
        self,
        contents: Contents,
        signer: AddressSigner,
        clock: Clock,
        *,
        foreign: ForeignAddresses | None = None,
        public_url: str = "",
    ) -> None:
        """``foreign`` makes addresses of the storage itself, where the operator wants these.

        ``public_url`` is where callers reach the service, without a slash at its end; empty when nobody knows.
        """
        self._contents = contents
        self._signer = signer
        self._clock = clock
        self._foreign = foreign
        self._public_url = public_url

    async def sign(
        self,
        workspace_id: str,
        image_id: str,
        *,
        ttl_s: int = DEFAULT_TTL_S,
        width: int = 0,
        format_name: str = "",
        origin: str = "",
    ) -> SignedAddress:
        """Return an address of an image that is there. It ends with the image, and after ``ttl_s`` seconds.

        ``origin`` is how this caller reached the service, such as ``http://host:8080``. Where neither that nor the
        public address is known the answer is a path.

        Raises ``InvalidFieldError`` and ``ImageNotFoundError``.
        """
        wrong = [] if 1 <= ttl_s <= MAX_TTL_S else [FieldViolation("ttlSeconds", f"must be 1 to {MAX_TTL_S}: 7 days")]
        content = await self._contents.find(workspace_id, image_id, width=width, format_name=format_name, wrong=wrong)
        ttl = timedelta(seconds=ttl_s)
        now = self._clock().replace(microsecond=0)
        if self._foreign is not None:
            await (await self._contents.open(content)).close()  # it has to be there: nobody asks us then
            return SignedAddress(await self._foreign.sign(content.key, ttl), now + ttl)
        said = [workspace_id, image_id, width, format_name, int((now + ttl).timestamp())]
        text = json.dumps(said, separators=(",", ":"), ensure_ascii=False)
        path = PATH + self._signer.sign(text.encode())
        return SignedAddress((self._public_url or origin) + path, now + ttl)

    async def follow(self, signed: str) -> SharedContent:
        """Return what an address leads to, given its part behind ``PATH``.

        Raises ``CredentialsInvalidError`` when it is not one of ours or has expired, and ``ImageNotFoundError``.
        """
        workspace_id, image_id, width, format_name, expires = json.loads(self._signer.verify(signed))
        expires_at = datetime.fromtimestamp(expires, UTC)
        if expires_at <= self._clock():
            raise CredentialsInvalidError("The address has expired.")
        content = await self._contents.find(workspace_id, image_id, width=width, format_name=format_name)
        return SharedContent(content, expires_at)
