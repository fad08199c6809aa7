"""What a picture's marks say about where it comes from."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Final

GENERATOR: Final = "Limner"
"""How our manifests name what made them."""


class MarkKind(StrEnum):
    """How a picture is marked."""

    C2PA = "C2PA"
    """A signed manifest inside the file."""
    WATERMARK = "WATERMARK"
    """A pattern in the pixels that no eye sees."""


class MarkState(StrEnum):
    """What a look at a mark found."""

    TRUSTED = "TRUSTED"
    """Whole, and signed under a certificate that the operator trusts."""
    VALID = "VALID"
    """Whole, and signed by somebody whom nobody vouches for."""
    INVALID = "INVALID"
    """Broken: the picture or the manifest was changed, or is no manifest at all."""
    DETECTED = "DETECTED"
    """A watermark was found."""
    ABSENT = "ABSENT"
    """There is none."""


class Marker(StrEnum):
    """Who made a mark."""

    PROVIDER = "provider"
    LIMNER = "limner"
    UNKNOWN = "unknown"


class SourceType(StrEnum):
    """How a picture came to be, in the words of IPTC's digital source types."""

    TRAINED_ALGORITHMIC_MEDIA = "TRAINED_ALGORITHMIC_MEDIA"
    """Made by a trained model."""
    COMPOSITE_WITH_TRAINED_ALGORITHMIC_MEDIA = "COMPOSITE_WITH_TRAINED_ALGORITHMIC_MEDIA"
    """A picture that a trained model changed."""
    ALGORITHMIC_MEDIA = "ALGORITHMIC_MEDIA"
    """Made by a program that was not trained on anything."""
    UNKNOWN = "UNKNOWN"


@dataclass(frozen=True, slots=True, kw_only=True)
class MarkIngredient:
    """A picture that a marked one was made from, directly or through others."""

    title: str
    state: MarkState
    image_id: str = ""
    """The image of the workspace that it is; empty where that is not known."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Mark:
    """One mark, or that there is none."""

    kind: MarkKind
    state: MarkState
    by: Marker = Marker.UNKNOWN
    generator: str = ""
    """Which program says that it made the mark."""
    issuer: str = ""
    """Whom the certificate names."""
    time: datetime | None = None
    """When it was signed, by an authority's time stamp."""
    actions: tuple[str, ...] = ()
    """What was done to the picture, in C2PA's words, such as ``c2pa.created``."""
    ingredients: tuple[MarkIngredient, ...] = ()
    problems: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Provenance:
    """All that is known of a picture's marks."""

    marks: tuple[Mark, ...]
    source_type: SourceType = SourceType.UNKNOWN
