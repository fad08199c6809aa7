"""What the service needs to mark pictures and to read marks. Each docstring is the contract of every adapter."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from limner.domain.derivative import DerivativeFormat
from limner.domain.image import OutputFormat
from limner.domain.provenance import Provenance, SourceType


class UnmarkedError(Exception):
    """The picture could not be marked; the message says why in plain words, without anything of the inside."""


class UnreadableMarksError(Exception):
    """The bytes are no picture that is looked at for marks; the message says why in plain words."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ingredient:
    """A picture that another one was made from, with its own manifest, but without its pixels."""

    image_id: str
    title: str
    parent: bool
    """Whether the new picture is a new form of it; else it merely went in."""
    archive: bytes
    """Its manifest and those before it, as ``Marks.ingredient`` returned them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Making:
    """How a picture was made, as its manifest says it."""

    action: str
    """``c2pa.created`` and so on; where there are ingredients it follows on ``c2pa.opened``."""
    title: str
    source_type: SourceType = SourceType.UNKNOWN
    model: str = ""
    model_version: str = ""
    ingredients: Sequence[Ingredient] = ()
    """What it was made from, at most one of them a parent."""
    told: Mapping[str, str] = field(default_factory=dict)
    """What the operator wants told besides, such as the prompt."""


class Marks(Protocol):
    """Signs pictures and reads what is signed. Raises ``OverloadedError`` when too many calls wait."""

    @property
    def signs(self) -> bool:
        """Whether there is a certificate to sign with."""

    @property
    def told(self) -> frozenset[str]:
        """What the operator wants told in manifests: of ``prompt``, ``user`` and ``workspace``."""

    @property
    def wraps(self) -> bool:
        """Whether a valid manifest of somebody else is wrapped in one of ours; else those bytes stay as they are."""

    @property
    def watermarks(self) -> bool:
        """Whether pictures get a watermark, unless their model gave them one."""

    async def watermark(self, data: bytes, output_format: OutputFormat) -> bytes:
        """Return the picture with a watermark of the service's, encoded anew. Raises ``UnmarkedError``."""

    async def read(self, data: bytes) -> Provenance:
        """Tell the marks of a file, which may be hostile: time and memory are bounded.

        What is broken is ``INVALID``, with the reason. ``image_id`` of an ingredient is what the file says, which
        is to be believed of manifests of our own alone. Raises ``UnreadableMarksError`` for what is no picture.
        """

    async def ingredient(self, image_id: str, data: bytes, output_format: OutputFormat, *, parent: bool) -> Ingredient:
        """Return what manifests will say of a picture that others are made from. Raises ``UnmarkedError``."""

    async def sign(self, data: bytes, output_format: OutputFormat | DerivativeFormat, making: Making) -> bytes:
        """Return the picture with a manifest of our own. Raises ``UnmarkedError``; the picture itself is fine then."""

    def close(self) -> None:
        """End processes. Nothing is called afterwards."""
