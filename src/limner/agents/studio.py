"""What the tools need of the service: one user's view of one workspace."""

from collections.abc import AsyncGenerator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol, TypeAlias

from imageservice.v1 import image_service_pb2 as pb
from imageservice.v1.image_pb2 import Image, Model

TaskRequest: TypeAlias = pb.GenerateImagesRequest | pb.EditImagesRequest | pb.UpscaleImageRequest


@dataclass
class StudioError(Exception):
    """A call failed; what a caller is told about it."""

    message: str
    reason: str
    metadata: Mapping[str, str] = field(default_factory=dict)


class Studio(Protocol):
    """Each method raises ``StudioError``."""

    def run(self, request: TaskRequest) -> AsyncGenerator[pb.RunTaskEvent, None]:
        """Run a task and yield what happens; closing the generator is leaving. A failure follows its last event."""

    async def image(self, image_id: str) -> Image:
        """Return the facts about an image."""

    async def images(self, request: pb.ListImagesRequest) -> pb.ListImagesResponse:
        """Return a page of images, newest first; the request's workspace is filled in."""

    async def models(self) -> Sequence[Model]:
        """Return the models of the catalogue."""

    async def derivative(self, image_id: str, width: int, picture_format: str) -> bytes:
        """Return a picture at most so many pixels wide, in a format."""

    def link(self, image: Image) -> str:
        """Return the address of an image's own bytes, for whoever has an access token."""
