"""A kept picture and the facts about it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import TypeAlias


class OutputFormat(StrEnum):
    """A file format that pictures are kept in."""

    PNG = "png"
    JPEG = "jpeg"
    WEBP = "webp"

    @property
    def content_type(self) -> str:
        """The MIME type, such as ``image/png``."""
        return f"image/{self.value}"


Parameters: TypeAlias = Mapping[str, str | int]
"""What was really used to make a picture, by its JSON name: ``aspectRatio``, ``seed`` and so on."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Image:
    """A picture of a workspace. Its bytes lie in the blob store under ``id``."""

    id: str
    workspace_id: str
    created_by_user_id: str
    generation_id: str = ""
    """The generation that made it; empty for an upload."""
    prompt: str = ""
    model: str = ""
    parameters: Parameters = field(default_factory=dict)
    input_image_ids: tuple[str, ...] = ()
    width: int
    height: int
    size_bytes: int
    format: OutputFormat
    sha256: str
    """Hexadecimal digest of the stored bytes; the ``etag`` of the content."""
    created_at: datetime
    updated_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageFilter:
    """Which images of a workspace a list shows; an empty field does not filter."""

    generation_id: str = ""
    created_by_user_id: str = ""


@dataclass(frozen=True, slots=True)
class Cursor:
    """The last image of a page: the next page starts after it."""

    created_at: datetime
    image_id: str


@dataclass(frozen=True, slots=True)
class ImagePage:
    """Some images, newest first, and where the next page starts; ``None`` on the last page."""

    images: tuple[Image, ...]
    next: Cursor | None


@dataclass(frozen=True, slots=True)
class Retention:
    """How long images are kept. Those that are older are deleted as by their owner."""

    days: int | None = None
    """In days from their creation, 1 or more; ``None`` for ever."""
