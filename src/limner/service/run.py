"""One generation at work, from its kept row to its one commit."""

import asyncio
import hashlib
import logging
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from limner.domain import limits
from limner.domain.errors import (
    ContentRejectedError,
    DatabaseUnavailableError,
    GenerationCancelledError,
    InternalError,
    InterruptedTaskError,
    LimnerError,
    ProviderUnavailableError,
)
from limner.domain.identifiers import new_id
from limner.domain.image import Image, OutputFormat, Parameters
from limner.domain.task import Failure, Generation, GenerationState, MissingPicture, UpscaleTask
from limner.service.clock import Clock
from limner.service.events import Preview, Progress, Watch
from limner.service.ports import (
    BlobStore,
    ImageModel,
    InvalidPictureError,
    MadePicture,
    Order,
    PictureCodec,
    Repository,
)

log = logging.getLogger(__name__)

LEASE = timedelta(seconds=45)
"""How long a worker that fell silent still counts as alive."""

_COMMIT_ATTEMPTS = 6
_FIRST_COMMIT_DELAY_S = 0.1
_INLINE_DIGEST_BYTES = limits.MIB
"""Up to this size a digest takes less of the event loop's time than a thread's wake-up and its 5 ms."""


@dataclass(frozen=True, slots=True)
class StoredInput:
    """A picture that lies in the blob store."""

    image: Image
    blobs: BlobStore

    async def read(self) -> bytes:
        """Return the bytes as stored."""
        return await self.blobs.read(self.image.id)


@dataclass(frozen=True, slots=True, kw_only=True)
class Stores:
    """Where the pictures and facts of a run go."""

    repository: Repository
    blobs: BlobStore
    codec: PictureCodec
    clock: Clock


@dataclass(frozen=True, slots=True)
class KeptSubmission:
    """One purchase, as the database knows it."""

    generation_id: str
    repository: Repository

    async def accepted(self, provider_job_id: str) -> None:
        """Keep the provider's id of the work."""
        await self.repository.record_provider_job(self.generation_id, provider_job_id)

    async def void(self) -> None:
        """Nothing was bought."""


class Run:
    """Asks the model, keeps the bytes of each picture as it comes, and shows all of them in one commit.

    It is the model's ``Job``. It runs in a task of its own, which outlives the calls that wait for it.
    Crash points, each with its outcome: before the row, nothing happened; after the row, the lease lapses and
    the generation fails as ``INTERRUPTED``; after some bytes, the same, and the bytes have no row; after the
    commit, all is shown.
    """

    def __init__(self, generation: Generation, order: Order, model: ImageModel, stores: Stores, worker_id: str) -> None:
        self.generation = generation
        self.error: LimnerError | None = None
        self._waiters = 0
        self._order = order
        self._model = model
        self._stores = stores
        self._worker_id = worker_id
        self._kept = False
        self._accepted = asyncio.Event()
        self._images: dict[int, Image] = {}
        self._missing: dict[int, MissingPicture] = {}
        self._description = ""
        self._fraction = 0.0
        self._watches: set[Watch] = set()
        self._cancel_error: LimnerError | None = None
        self._task: asyncio.Task[None] | None = None
        self._asking: asyncio.Task[None] | None = None

    @property
    def task(self) -> "asyncio.Task[None]":
        """The work, once it was started."""
        assert self._task is not None
        return self._task

    def start(self) -> None:
        """Begin to work."""
        self._task = asyncio.create_task(self._work(), name=f"generation-{self.generation.id}")

    async def accepted(self) -> None:
        """Return when the generation has its row; raise why it got none."""
        await self._accepted.wait()
        if not self._kept and self.error is not None:
            raise self.error

    def cancel(self, error: LimnerError) -> None:
        """Ask the model to stop; ``error`` is what those who wait are told. What is made by then is kept."""
        if self._cancel_error is None:
            self._cancel_error = error
            if self._asking is not None:
                self._asking.cancel()

    def join(self) -> None:
        """Count one more caller who waits."""
        self._waiters += 1

    def leave(self) -> None:
        """Count one fewer. When nobody waits any longer, work that costs nothing to stop stops."""
        self._waiters -= 1
        if self._waiters == 0 and self._model.capabilities.local:
            self.cancel(GenerationCancelledError("Every caller went away."))

    async def wait(self) -> Generation:
        """Return the generation in its final state, or raise why it made no image."""
        self.join()
        try:
            await asyncio.shield(self.task)
        finally:
            self.leave()
        if self.error is not None:
            raise self.error
        return self.generation

    def watch(self) -> Watch:
        """Return the events from now on."""
        watch = Watch()
        self._watches.add(watch)
        if self.task.done():
            watch.end()
        return watch

    def unwatch(self, watch: Watch) -> None:
        """Forget a watcher."""
        self._watches.discard(watch)

    # What the model tells (ports.Job).

    @property
    def watched(self) -> bool:
        """Whether anybody watches."""
        return bool(self._watches)

    def progress(self, fraction: float) -> None:
        """Pass the progress on; it never goes back."""
        if self._fraction < fraction <= 1:
            self._fraction = fraction
            self._publish(Progress(fraction))

    def preview(self, index: int, data: bytes, content_type: str) -> None:
        """Pass an early form of a picture on."""
        if self._watches:
            self._publish(Preview(index, data, content_type))

    async def submitting(self, indexes: Sequence[int]) -> "KeptSubmission":
        """Keep that a purchase is about to be made."""
        return KeptSubmission(self.generation.id, self._stores.repository)

    def missed(self, missing: MissingPicture) -> None:
        """Note that a picture will not come."""
        self._missing[missing.index] = missing

    def describe(self, text: str) -> None:
        """Note what the provider said."""
        self._description = text

    async def made(self, picture: MadePicture) -> None:
        """Verify the picture, bring it into the asked format, and keep its bytes."""
        try:
            image, data = await self._image_of(picture)
        except InvalidPictureError as error:
            log.warning("a model's picture is not usable", extra={"model": self.generation.model, "why": str(error)})
            self.missed(
                MissingPicture(
                    index=picture.index,
                    reason=ProviderUnavailableError.reason,
                    message="The model's picture is not usable.",
                )
            )
            return
        await self._stores.blobs.put(image.id, data, image.format.content_type)
        self._images[picture.index] = image

    async def _image_of(self, picture: MadePicture) -> tuple[Image, bytes]:
        data, wanted = picture.data, self._order.task.output_format
        if len(data) > limits.MAX_STORED_BYTES:
            raise InvalidPictureError("larger than is kept")
        info = picture.info or await self._stores.codec.verify(data)
        if info.format is not wanted:
            data = await self._stores.codec.convert(data, wanted)
            info = await self._stores.codec.verify(data)
        now = self._stores.clock()
        generation = self.generation
        image = Image(
            id=new_id(),
            workspace_id=generation.workspace_id,
            created_by_user_id=generation.created_by_user_id,
            generation_id=generation.id,
            prompt=generation.prompt,
            model=generation.model,
            parameters=self._parameters(wanted, picture.seed),
            input_image_ids=generation.input_image_ids,
            width=info.width,
            height=info.height,
            size_bytes=len(data),
            format=info.format,
            sha256=await digest(data),
            created_at=now,
            updated_at=now,
        )
        return image, data

    def _parameters(self, output_format: OutputFormat, seed: int | None) -> Parameters:
        task = self._order.task
        if isinstance(task, UpscaleTask):
            return {"upscaleFactor": task.upscale_factor, "outputFormat": output_format.value, "numImages": 1}
        parameters: dict[str, str | int] = {
            "aspectRatio": task.aspect_ratio,
            "outputFormat": output_format.value,
            "numImages": task.num_images,
        }
        if seed is not None:
            parameters["seed"] = seed
        return parameters

    # The work itself.

    async def _work(self) -> None:
        try:
            await self._keep()
            self.error = await self._ask_model()
            await self._commit(self._outcome())
        except LimnerError as error:
            self.error = error
        except Exception:
            log.exception("a run failed", extra={"generation_id": self.generation.id})
            self.error = InternalError()
        finally:
            if self.error is not None and self._kept:
                self.error.metadata = {**self.error.metadata, "generationId": self.generation.id}
            self._accepted.set()
            for watch in self._watches:
                watch.end()

    async def _keep(self) -> None:
        """Keep the row. This happens here, where no caller who hangs up can cut it short."""
        lease_until = self._stores.clock() + LEASE
        await self._stores.repository.start_generation(self.generation, self._worker_id, lease_until)
        self._kept = True
        self._accepted.set()

    async def _ask_model(self) -> LimnerError | None:
        """Return why the model made nothing more, or ``None`` when it is done."""
        if self._cancel_error is not None:
            return self._cancel_error
        self._asking = asyncio.current_task()
        try:
            await self._model.run(self._order, self)
        except asyncio.CancelledError:
            if self._cancel_error is None:
                raise
            return self._cancel_error
        except LimnerError as error:
            return error
        except Exception:
            log.exception("a model failed", extra={"generation_id": self.generation.id})
            return InternalError()
        finally:
            self._asking = None
        return None

    def _outcome(self) -> Generation:
        images = tuple(self._images[index] for index in sorted(self._images))
        missing = self._all_missing()
        if not images and self.error is None:
            self.error = _nothing_made(missing)
        if images and not isinstance(self.error, GenerationCancelledError):
            self.error = None
        outcome = replace(self.generation, images=images, missing=missing, description=self._description)
        return ended(outcome, self.error, self._stores.clock())

    def _all_missing(self) -> tuple[MissingPicture, ...]:
        """Return why each asked picture that was not made is missing."""
        error = self.error or ProviderUnavailableError("The model did not make this picture.")
        gaps = [index for index in range(self.generation.requested_images) if index not in self._images]
        unexplained = (MissingPicture(index=index, reason=error.reason, message=error.message) for index in gaps)
        return tuple(self._missing.get(gap.index, gap) for gap in unexplained)

    async def _commit(self, outcome: Generation) -> None:
        """Keep the outcome, trying for some seconds when the database is down, and make it this run's own."""
        cost_micros = self._cost_micros(len(outcome.images))
        delay_s = _FIRST_COMMIT_DELAY_S
        for attempt in range(1, _COMMIT_ATTEMPTS + 1):
            try:
                kept = await self._stores.repository.finish_generation(outcome, cost_micros)
                break
            except DatabaseUnavailableError:
                if attempt == _COMMIT_ATTEMPTS:
                    raise
                await asyncio.sleep(delay_s)
                delay_s *= 2
        self.generation = outcome if kept else await self._ended_elsewhere(outcome)

    async def _ended_elsewhere(self, outcome: Generation) -> Generation:
        """Return what is kept instead: this very outcome, by a commit whose answer was lost, or another's."""
        kept = await self._stores.repository.generation(outcome.workspace_id, outcome.id)
        if kept is None or kept.state is GenerationState.RUNNING:
            raise DatabaseUnavailableError
        shown = {image.id for image in kept.images}
        for image in outcome.images:
            if image.id not in shown:
                with suppress(LimnerError):
                    await self._stores.blobs.delete(image.id)
        if kept.state is not GenerationState.SUCCEEDED and self.error is None:
            self.error = InterruptedTaskError()
        return kept

    def _cost_micros(self, images: int) -> int:
        price = self._model.capabilities.price_usd
        return int(price * 1_000_000) * images if price is not None else 0

    def _publish(self, event: Progress | Preview) -> None:
        for watch in self._watches:
            watch.publish(event)


async def digest(data: bytes) -> str:
    """Return the hexadecimal SHA-256 of the bytes."""
    if len(data) <= _INLINE_DIGEST_BYTES:
        return hashlib.sha256(data).hexdigest()
    return (await asyncio.to_thread(hashlib.sha256, data)).hexdigest()


def _nothing_made(missing: tuple[MissingPicture, ...]) -> LimnerError:
    """Return the error for a task without a picture: the first picture's own reason."""
    if missing and missing[0].reason == ContentRejectedError.reason:
        return ContentRejectedError(missing[0].message)
    return ProviderUnavailableError("The model made no picture.")


def ended(generation: Generation, error: LimnerError | None, at: datetime) -> Generation:
    """Return the generation in the final state that goes with the error, or with none."""
    if error is None:
        return replace(generation, state=GenerationState.SUCCEEDED, updated_at=at)
    cancelled = isinstance(error, GenerationCancelledError)
    return replace(
        generation,
        state=GenerationState.CANCELLED if cancelled else GenerationState.FAILED,
        failure=Failure(reason=error.reason, message=error.message),
        updated_at=at,
    )
