"""The door: requests into tasks, and what comes of them into answers."""

import asyncio
import logging
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, aclosing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from aiohttp import web

from limner.domain.errors import InternalError, LimnerError, Outcome, ProviderUnavailableError
from limner.domain.task import Generation, Operation
from limner.rpc.call import current_call, current_caller
from limner.service.catalogue import Catalogue
from limner.service.contents import Contents
from limner.service.drafts import TaskDraft, checked
from limner.service.events import Completed, Event, Finished, Preview, Queued
from limner.service.idempotency import claim_of
from limner.service.library import ImageLibrary
from limner.service.provenance import ProvenanceReader
from limner.service.tasks import Asked, TaskRunner
from limner.web.door import Door, Route
from limner.web.errors import http_status
from limner.web.openai.answers import Events, Pictures, SignUrl, write_images
from limner.web.openai.bodies import MAX_FORM_BYTES, edit_body, read_json, wrong
from limner.web.openai.errors import error_body, openai_error
from limner.web.openai.inputs import InputKeeper, Inputs, Receiving, with_digests
from limner.web.openai.models import model_routes
from limner.web.openai.provenance import ProvenanceChecks
from limner.web.openai.wishes import URL, Wishes, wishes

log = logging.getLogger(__name__)

BASE: Final = "/v1/workspaces/{workspaceId}/openai"
ANSWER_WITHIN_S: Final = 540.0
"""OpenAI's SDKs give up after 600 seconds, and then ask anew, without a key: they get an answer before."""

KEEP_ALIVE_S: Final = 15.0
_CALL: Final = "/imageservice.v1.ImageService"


def openai_door(
    tasks: TaskRunner,
    library: ImageLibrary,
    contents: Contents,
    catalogue: Catalogue,
    provenance: ProvenanceReader,
    *,
    scratch: Path,
    sign: SignUrl | None = None,
) -> Door:
    """Return the door. ``scratch`` is a folder for pictures while they come; ``sign`` makes addresses of pictures."""
    images = ImagesApi(tasks, library, catalogue, Pictures(contents, sign), scratch)
    return Door(
        routes=(
            Route(
                method="POST",
                path=f"{BASE}/images/generations",
                policy=f"{_CALL}/GenerateImages",
                answer=images.generate,
            ),
            Route(
                method="POST",
                path=f"{BASE}/images/edits",
                policy=f"{_CALL}/EditImages",
                answer=images.edit,
                max_body_bytes=MAX_FORM_BYTES,
            ),
            Route(
                method="POST",
                path=f"{BASE}/content_provenance_checks",
                policy=f"{_CALL}/VerifyImage",
                answer=ProvenanceChecks(provenance, scratch).create,
                max_body_bytes=MAX_FORM_BYTES,
            ),
            *model_routes(BASE, catalogue),
        ),
        error=openai_error,
    )


@dataclass(slots=True)
class _Work:
    """A request for pictures while it is done."""

    http: web.Request
    asked: Asked
    wishes: Wishes
    generation_id: str = ""

    @property
    def kind(self) -> str:
        edits = self.asked.draft.operation is Operation.EDIT
        return "image_edit" if edits else "image_generation"


class ImagesApi:
    """``images/generations`` and ``images/edits``."""

    def __init__(
        self, tasks: TaskRunner, library: ImageLibrary, catalogue: Catalogue, pictures: Pictures, scratch: Path
    ) -> None:
        self._tasks = tasks
        self._catalogue = catalogue
        self._pictures = pictures
        self._inputs = InputKeeper(library)
        self._receiving = Receiving()
        self._scratch = scratch

    async def generate(self, request: web.Request) -> web.StreamResponse:
        """Make pictures from a prompt."""
        if request.content_type != "application/json":
            raise wrong("content-type", "must be application/json")
        read = wishes(Operation.GENERATE, await read_json(request))
        return await self._answered(self._work(request, read, read.draft))

    async def edit(self, request: web.Request) -> web.StreamResponse:
        """Make pictures from those that came along, or are kept."""
        async with AsyncExitStack() as received:
            await received.enter_async_context(self._receiving.place(current_caller().user_id))
            body = await received.enter_async_context(edit_body(request, self._scratch))
            read = wishes(Operation.EDIT, body.fields)
            work = self._work(request, read, with_digests(read.draft, body))
            inputs = Inputs()
            try:
                await self._inputs.keep(inputs, work.asked.caller, work.asked.workspace_id, body)
                work.asked = replace(work.asked, draft=replace(work.asked.draft, image_ids=tuple(inputs.ids)))
                await received.aclose()  # what came along is in the library: its files on this disk can go
                return await self._answered(work)
            finally:
                await self._discard(inputs, work)

    def _work(self, request: web.Request, read: Wishes, draft: TaskDraft) -> _Work:
        """Return what is to be done; refuse what no model can before any picture is kept for it."""
        if read.response_format == URL and self._pictures.sign is None:
            raise wrong("response_format", "must be b64_json: there are no signed addresses here")
        checked(draft, self._catalogue)
        asked = Asked(
            caller=current_caller(),
            workspace_id=request.match_info["workspaceId"],
            draft=draft,
            claim=claim_of(draft, None, request.headers.get("idempotency-key")),
            watched=read.partial_images > 0,
        )
        return _Work(request, asked, read)

    async def _discard(self, inputs: Inputs, work: _Work) -> None:
        """Delete those pictures again that no generation started from."""
        place = work.asked.workspace_id
        used: tuple[str, ...] = ()
        if work.generation_id:
            used = (await self._tasks.generation(place, work.generation_id)).input_image_ids
        await self._inputs.discard(inputs, work.asked.caller, place, used)

    async def _answered(self, work: _Work) -> web.StreamResponse:
        async with aclosing(self._tasks.events(work.asked)) as events:
            queued = await anext(events)
            assert isinstance(queued, Queued)
            work.generation_id = queued.generation_id
            if work.wishes.stream:
                return await self._streamed(work, events)
            return await self._whole(work, events)

    async def _whole(self, work: _Work, events: AsyncIterator[Event]) -> web.StreamResponse:
        generation: Generation | None = None
        try:
            async with asyncio.timeout(ANSWER_WITHIN_S):
                async for event in events:
                    if isinstance(event, Completed):
                        generation = event.generation
        except TimeoutError as error:
            raise _unfinished(work) from error
        if generation is None:
            raise _unfinished(work)
        out = web.StreamResponse(headers={"content-type": "application/json"})
        await out.prepare(work.http)
        await write_images(out, generation, work.wishes, self._pictures)
        await out.write_eof()
        return out

    async def _streamed(self, work: _Work, events: AsyncIterator[Event]) -> web.StreamResponse:
        out = web.StreamResponse(headers={"content-type": "text/event-stream", "cache-control": "no-store"})
        await out.prepare(work.http)
        told = Events(out, work.kind, work.wishes, self._pictures)
        try:
            async for event in _with_pauses(events):
                if event is None:
                    await told.wait()
                elif isinstance(event, Preview):
                    await told.partial(event, int(time.time()))
                elif isinstance(event, Finished):
                    await told.completed(event.image)
        except LimnerError as error:
            await told.failed(error_body(error, http_status(error)))
        except OSError:  # nobody is there any more
            raise
        except Exception:
            log.exception("a stream broke")
            fault = InternalError(metadata={"requestId": current_call().request_id})
            await told.failed(error_body(fault, http_status(fault)))
        await out.write_eof()
        return out


async def _with_pauses(events: AsyncIterator[Event]) -> AsyncIterator[Event | None]:
    """Yield the events, and ``None`` whenever none came for a while."""
    pending: asyncio.Task[Event | None] | None = None
    try:
        while True:
            pending = pending or asyncio.ensure_future(_next(events))
            done, _ = await asyncio.wait({pending}, timeout=KEEP_ALIVE_S)
            if not done:
                yield None
                continue
            event, pending = pending.result(), None
            if event is None:
                return
            yield event
    finally:
        if pending is not None:
            pending.cancel()
            await asyncio.wait({pending})


async def _next(events: AsyncIterator[Event]) -> Event | None:
    return await anext(events, None)


def _unfinished(work: _Work) -> LimnerError:
    """Return what is told instead of pictures that are still to come: nobody shall buy them again."""
    message = (
        "The pictures are not there yet. They are still made: GetGeneration has them, or the same idempotency key."
    )
    return ProviderUnavailableError(message, metadata={"generationId": work.generation_id}, outcome=Outcome.UNKNOWN)
