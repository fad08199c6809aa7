"""The service as the tools see it, in this process."""

from collections.abc import AsyncGenerator, Iterator, Sequence
from contextlib import aclosing, contextmanager

from imageservice.v1 import image_service_pb2 as pb
from imageservice.v1.image_pb2 import Image, Model

from limner.agents.studio import StudioError, TaskRequest
from limner.domain.errors import LimnerError
from limner.domain.task import Operation
from limner.rpc import mapping, page_token
from limner.service.caller import Caller
from limner.service.catalogue import Catalogue
from limner.service.contents import Contents
from limner.service.idempotency import claim_of
from limner.service.library import ImageLibrary
from limner.service.tasks import Asked, TaskRunner


class ServiceStudio:
    """One caller's view of one workspace."""

    def __init__(
        self,
        tasks: TaskRunner,
        library: ImageLibrary,
        catalogue: Catalogue,
        contents: Contents,
        caller: Caller,
        workspace_id: str,
        origin: str,
    ) -> None:
        """``origin`` is how the caller reached the service, such as ``http://host:8080``."""
        self._tasks = tasks
        self._library = library
        self._catalogue = catalogue
        self._contents = contents
        self._caller = caller
        self._workspace_id = workspace_id
        self._origin = origin

    async def run(self, request: TaskRequest) -> AsyncGenerator[pb.RunTaskEvent, None]:
        """Run a task and yield what happens."""
        with _told():
            draft = mapping.draft(request)
            claim = claim_of(draft, mapping.request_id(request), None)
            asked = Asked(caller=self._caller, workspace_id=self._workspace_id, draft=draft, claim=claim)
            async with aclosing(self._tasks.events(asked)) as events:
                async for event in events:
                    yield mapping.event_message(event)

    async def image(self, image_id: str) -> Image:
        """Return the facts about an image."""
        with _told():
            return mapping.image_message(await self._library.image(self._workspace_id, image_id))

    async def images(self, request: pb.ListImagesRequest) -> pb.ListImagesResponse:
        """Return a page of images."""
        where, token = mapping.list_filter(request), request.page_token
        with _told():
            after = page_token.decode(token, self._workspace_id, where) if token else None
            page = await self._library.images(self._workspace_id, where, after, request.page_size)
        next_token = page_token.encode(page.next, self._workspace_id, where) if page.next else ""
        return pb.ListImagesResponse(images=map(mapping.image_message, page.images), next_page_token=next_token)

    async def models(self) -> Sequence[Model]:
        """Return the models of the catalogue."""
        defaults = {operation: self._catalogue.default_id(operation) for operation in Operation}
        return [
            mapping.model_message(
                model.capabilities,
                model.unready_reason(),
                [each.value for each, model_id in defaults.items() if model_id == model.capabilities.id],
            )
            for model in self._catalogue
        ]

    async def derivative(self, image_id: str, width: int, picture_format: str) -> bytes:
        """Return a picture at most so many pixels wide."""
        with _told():
            content = await self._contents.find(self._workspace_id, image_id, width=width, format_name=picture_format)
            _, chunks = await self._contents.stream(content)
            async with aclosing(chunks):
                return b"".join([chunk async for chunk in chunks])

    def link(self, image: Image) -> str:
        """Return the address of an image's own bytes."""
        return self._origin + image.links.content


@contextmanager
def _told() -> Iterator[None]:
    """Raise what the tools are told of an error."""
    try:
        yield
    except LimnerError as error:
        raise StudioError(error.message, error.reason, error.metadata) from error
