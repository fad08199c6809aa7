"""C2PA for the service (``service.marks.Marks``): manifests are handled by processes, at most a few at a time."""

import logging
import re
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any, Final

from limner.certificates import Identity
from limner.domain.derivative import DerivativeFormat
from limner.domain.errors import OverloadedError
from limner.domain.image import OutputFormat
from limner.domain.provenance import Mark, Marker, MarkIngredient, MarkKind, MarkState, Provenance, SourceType
from limner.provenance.definition import ingredient_definition, manifest_definition
from limner.provenance.pixels import Watermarks
from limner.provenance.process import Processes, ProcessLostError
from limner.service.executor import BoundedExecutor
from limner.service.marks import Ingredient, Making, UnmarkedError, UnreadableMarksError

log = logging.getLogger(__name__)

READS_AT_ONCE: Final = 2
READS_WAITING: Final = 64
READ_TIMEOUT_S: Final = 20.0
SIGN_TIMEOUT_S: Final = 20.0
STAMP_TIMEOUT_S: Final = 8.0
"""How long a picture waits for its time stamp; then it is signed without one."""

STAMP_PAUSE_S: Final = 60.0
"""How long an authority that failed is not asked."""

_KINDS: Final = (
    (re.compile(rb"\x89PNG\r\n\x1a\n"), "image/png"),
    (re.compile(rb"\xff\xd8\xff"), "image/jpeg"),
    (re.compile(rb"RIFF....WEBP", re.DOTALL), "image/webp"),
    (re.compile(rb"....ftypavi[fs]", re.DOTALL), "image/avif"),
    (re.compile(rb"....ftyp(heic|heix|mif1)", re.DOTALL), "image/heic"),
    (re.compile(rb"GIF8[79]a"), "image/gif"),
    (re.compile(rb"II\*\x00|MM\x00\*"), "image/tiff"),
)

NOT_LOOKED_FOR: Final = Mark(
    kind=MarkKind.WATERMARK, state=MarkState.ABSENT, problems=("not looked for: LIMNER_WATERMARK is off",)
)


class C2paMarks:
    """Manifests by c2pa-python. Each process takes up to 0.2 GiB beside the picture, of which it holds two copies."""

    def __init__(
        self,
        *,
        identity: Identity | None = None,
        anchors_pem: str = "",
        authority_url: str = "",
        told: frozenset[str] = frozenset(),
        wraps: bool = False,
        watermarks: Watermarks | None = None,
        threads: int = 2,
        queue: int = 1024,
    ) -> None:
        self._identity = identity
        self._authority_url = authority_url
        self._told = told
        self._wraps = wraps
        self._watermarks = watermarks
        self._stamp_again_at = 0.0
        self._signing = BoundedExecutor("sign", threads=threads, queue=queue)
        self._reading = BoundedExecutor("marks", threads=READS_AT_ONCE, queue=READS_WAITING)
        self._processes = Processes("limner.provenance.manifests", _configuration(identity, anchors_pem, authority_url))

    @property
    def signs(self) -> bool:
        """Whether there is a certificate."""
        return self._identity is not None

    @property
    def told(self) -> frozenset[str]:
        """What the operator wants told."""
        return self._told

    @property
    def wraps(self) -> bool:
        """Whether what others signed is signed over."""
        return self._wraps

    @property
    def watermarks(self) -> bool:
        """Whether there is something to put watermarks in with."""
        return self._watermarks is not None

    async def watermark(self, data: bytes, output_format: OutputFormat) -> bytes:
        """Return the picture with a watermark."""
        if self._watermarks is None:
            raise UnmarkedError("watermarks are off")
        return await self._watermarks.embedded(data, output_format)

    async def read(self, data: bytes) -> Provenance:
        """Tell the marks of a file."""
        found = await self._manifest(data)
        watermark = NOT_LOOKED_FOR if self._watermarks is None else await self._watermarks.looked_for(data)
        return replace(found, marks=(*found.marks, watermark))

    async def _manifest(self, data: bytes) -> Provenance:
        kind = _kind(data)
        try:
            asked = {"call": "read", "contentType": kind}
            found, _ = await self._reading.run(self._processes.ask, asked, [data], READ_TIMEOUT_S)
        except ProcessLostError:
            found = {"state": "INVALID", "problems": ["looking at the manifest takes too much time or memory"]}
        if "error" in found:
            found = {"state": "INVALID", "problems": ["looking at the manifest takes too much memory"]}
        return _provenance(found)

    async def ingredient(self, image_id: str, data: bytes, output_format: OutputFormat, *, parent: bool) -> Ingredient:
        """Return what manifests will say of a picture that others are made from."""
        title = f"{image_id}.{output_format.value}"
        asked = {
            "call": "ingredient",
            "contentType": output_format.content_type,
            "ingredient": ingredient_definition(image_id, title, output_format.content_type, parent=parent),
        }
        answer, (archive,) = await self._marking(asked, [data], SIGN_TIMEOUT_S)
        if "dropped" in answer:
            facts = {"image_id": image_id, "why": answer["dropped"]}
            log.warning("the manifest of an input is not carried along", extra=facts)
        return Ingredient(image_id=image_id, title=title, parent=parent, archive=archive)

    async def sign(self, data: bytes, output_format: OutputFormat | DerivativeFormat, making: Making) -> bytes:
        """Return the picture with a manifest of our own, with a time stamp where one can be had."""
        if self._identity is None:
            raise UnmarkedError("there is no certificate to sign with")
        asked = {
            "call": "sign",
            "contentType": output_format.content_type,
            "manifest": manifest_definition(making),
        }
        blobs = [data, *(each.archive for each in making.ingredients)]
        if self._authority_url and time.monotonic() >= self._stamp_again_at:
            try:
                _, (signed,) = await self._marking({**asked, "stamped": True}, blobs, STAMP_TIMEOUT_S)
            except UnmarkedError as error:
                self._stamp_again_at = time.monotonic() + STAMP_PAUSE_S
                log.warning("a picture is signed without a time stamp", extra={"why": str(error)})
            else:
                return signed
        _, (signed,) = await self._marking({**asked, "stamped": False}, blobs, SIGN_TIMEOUT_S)
        return signed

    def close(self) -> None:
        """End the threads and processes."""
        self._signing.close()
        self._reading.close()
        self._processes.close()
        if self._watermarks is not None:
            self._watermarks.close()

    async def _marking(
        self, asked: Mapping[str, Any], blobs: Sequence[bytes], timeout_s: float
    ) -> tuple[Mapping[str, Any], list[bytes]]:
        try:
            answer, parts = await self._signing.run(self._processes.ask, asked, blobs, timeout_s)
        except ProcessLostError as error:
            raise UnmarkedError("signing takes too much time or memory") from error
        except OverloadedError as error:
            raise UnmarkedError("too many pictures wait for their signature") from error
        if "error" in answer:
            raise UnmarkedError(f"{answer['kind']}: {answer['error']}")
        return answer, parts


def _configuration(identity: Identity | None, anchors_pem: str, authority_url: str) -> dict[str, Any]:
    return {
        "anchors": anchors_pem,
        "issuers": identity.issuers_pem if identity else "",
        "serial": str(identity.leaf.serial_number) if identity else "",
        "signing": identity
        and {
            "algorithm": identity.algorithm,
            "chain": identity.chain_pem,
            "key": identity.key_pem,
            "authority": authority_url,
        },
    }


def _kind(data: bytes) -> str:
    for pattern, kind in _KINDS:
        if pattern.match(data):
            return kind
    raise UnreadableMarksError("the file is no picture: PNG, JPEG, WebP, AVIF, HEIC, GIF and TIFF are looked at")


def _provenance(found: Mapping[str, Any]) -> Provenance:
    state = MarkState(found["state"])
    by = Marker.UNKNOWN
    if found.get("own") and state in (MarkState.TRUSTED, MarkState.VALID):
        by = Marker.LIMNER
    mark = Mark(
        kind=MarkKind.C2PA,
        state=state,
        by=by,
        generator=found.get("generator", ""),
        issuer=found.get("issuer", ""),
        time=_time(found.get("time", "")),
        actions=tuple(found.get("actions", ())),
        ingredients=tuple(
            MarkIngredient(title=each["title"], state=MarkState(each["state"]), image_id=each["imageId"])
            for each in found.get("ingredients", ())
        ),
        problems=tuple(found.get("problems", ())),
    )
    return Provenance(marks=(mark,), source_type=SourceType(found.get("sourceType", SourceType.UNKNOWN)))


def _time(text: str) -> datetime | None:
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        return None
    return at if at.tzinfo else None
