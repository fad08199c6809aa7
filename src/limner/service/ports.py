"""What the service needs from the outside. Each docstring is the contract that every adapter keeps.

All methods run on the event loop and never block it. An adapter turns the errors of its vendor
into those of ``limner.domain.errors`` at its edge (``raise … from error``).
"""

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import BinaryIO, Protocol, runtime_checkable

from limner.domain.derivative import Derivative
from limner.domain.image import Cursor, Image, ImageFilter, ImagePage, OutputFormat, Retention
from limner.domain.model import ModelCapabilities
from limner.domain.task import Generation, MissingPicture, Plan, Task
from limner.domain.usage import Quota, Usage
from limner.service.caller import Caller


class BlobNotFoundError(Exception):
    """There are no bytes under this key."""


class BlobExistsError(Exception):
    """There are other bytes under this key already."""


class LeaseLostError(Exception):
    """Another worker goes on with the generation."""


class OpenBlob(Protocol):
    """A blob that was found: what is deleted meanwhile can still be read, or ends with ``BlobNotFoundError``."""

    @property
    def size_bytes(self) -> int:
        """How many bytes it has."""

    @property
    def whole(self) -> bytes | None:
        """All of its bytes, when it has so few that they were read at once."""

    @property
    def file(self) -> BinaryIO | None:
        """The file on this machine, for ``sendfile``; not to be read on the event loop."""

    def parts(self, start: int, end: int, chunk_bytes: int) -> AsyncIterator[bytes]:
        """Yield the bytes from ``start`` up to ``end``, exclusive, in parts of at most ``chunk_bytes``, in order."""

    async def close(self) -> None:
        """Let go of it. Whoever opened it closes it."""


class BlobStore(Protocol):
    """Keeps the bytes of pictures under their ids. A key is 32 hexadecimal digits, never a caller's words.

    A variant of a picture, such as a smaller one, has its picture's key, a slash, and a name such as ``512.webp``.

    Every method raises ``StorageUnavailableError`` when the store is down, full or too slow.
    """

    async def put(self, key: str, data: bytes, content_type: str) -> None:
        """Keep ``data``; when this returns, it survives a crash, and no reader ever sees a part of it.

        Putting the same bytes again is allowed; other bytes raise ``BlobExistsError`` and change nothing.
        """

    async def read(self, key: str) -> bytes:
        """Return the whole, at most ``limits.MAX_STORED_BYTES``, or raise ``BlobNotFoundError``."""

    def stream(self, key: str, chunk_bytes: int) -> AsyncIterator[bytes]:
        """Yield the bytes in order in parts of at most ``chunk_bytes``, not faster than they are taken.

        Raises ``BlobNotFoundError`` before the first part.
        """

    async def open(self, key: str, *, whole_bytes: int = 0) -> OpenBlob:
        """Return the blob for reading, with what it has when that is at most ``whole_bytes``.

        Raises ``BlobNotFoundError``.
        """

    async def delete(self, key: str) -> None:
        """Forget the bytes of a picture with all of its variants. Forgetting what is not there is fine."""

    def keys(self, after: str, until: str) -> AsyncIterator[str]:
        """Yield the keys of pictures, ``after`` < key <= ``until``, in any order, and of no variants.

        What is put or deleted meanwhile may be missing.
        """

    def owners_of_variants(self, after: str, until: str) -> AsyncIterator[str]:
        """Yield the keys of pictures that have variants, in the same way, whether their own bytes are there or not."""

    async def check(self) -> None:
        """Return when the store can be reached and written to; else raise ``StorageUnavailableError``."""

    async def close(self) -> None:
        """Release what the store holds. Nothing is called afterwards."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """An idempotency key, within the workspace, user and kind of task of its generation."""

    key: str
    fingerprint: str
    """A digest of the request: the same key may only be used for the same request."""
    former_fingerprint: str = ""
    """The digest that an older release made of the same request, where that differs."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Start:
    """A generation that begins."""

    generation: Generation
    plan: Plan
    worker_id: str
    lease_until: datetime
    claim: Claim | None = None
    quota: Quota = field(default_factory=Quota)
    """For a workspace that has none of its own."""
    durable: bool = False
    """Whether it survives a power cut as soon as it is kept, and not only with the first purchase or the end."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Started:
    """What became of a start."""

    generation_id: str
    granted_images: int
    """How many of the asked images the quota allows."""
    joined: bool = False
    """The key was claimed before, by this same request: ``generation_id`` is that earlier generation."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SubmissionRecord:
    """A purchase as it was last kept. Void ones are not told."""

    indexes: tuple[int, ...]
    provider_job_id: str
    """Empty when the provider's answer was not kept: nobody knows whether it was made."""
    model_id: str
    """Which model was asked."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Unfinished:
    """A generation that another worker left behind."""

    generation: Generation
    plan: Plan
    granted_images: int
    submissions: tuple[SubmissionRecord, ...] = ()
    submitted: int = 0
    """The number of the next purchase; void ones have theirs too."""
    cancel_requested: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivery:
    """The event of a generation's end, on its way to its workspace's receiver."""

    id: str
    workspace_id: str
    generation_id: str
    attempts: int
    """How many have failed."""
    traceparent: str = ""
    """The span of its generation; empty when nobody traces it."""


class Repository(Protocol):
    """Keeps the facts. Every method is one transaction, and raises ``DatabaseUnavailableError`` when it can't be.

    Images that were deleted are shown by no method but ``generation`` (as inputs) and ``input_image``.
    """

    async def add_image(self, image: Image) -> None:
        """Keep an uploaded image."""

    async def image(self, workspace_id: str, image_id: str) -> Image | None:
        """Return the image, or ``None``."""

    async def images(self, workspace_id: str, image_ids: Sequence[str]) -> tuple[Image, ...]:
        """Return those of the images that exist, in the order asked for."""

    async def list_images(self, workspace_id: str, where: ImageFilter, after: Cursor | None, limit: int) -> ImagePage:
        """Return up to ``limit`` images, newest first (``created_at``, then ``id``, both descending)."""

    async def delete_image(self, workspace_id: str, image_id: str, at: datetime) -> tuple[str, ...]:
        """Delete the image, and return the ids of all images whose bytes nothing needs any longer.

        Bytes are needed by an image that is not deleted, and by a generation that started from them and
        is running or has an image that is not deleted. Deleting what is deleted already returns nothing.
        """

    async def images_to_purge(self, limit: int) -> tuple[str, ...]:
        """Return ids of deleted images whose bytes nothing needs and that were not yet purged."""

    async def mark_purged(self, image_ids: Sequence[str]) -> None:
        """Note that the bytes of these deleted images are gone."""

    async def start_generation(self, start: "Start") -> "Started":
        """Keep a running generation and its inputs, leased to a worker, within quota and under its key.

        The one place where quota is taken and a key is claimed, so exactly one of many callers at once wins.
        Raises ``ImageNotFoundError`` when an input is not there any longer, ``QuotaExceededError`` when not one
        image fits, and ``IdempotencyKeyReusedError``; then nothing is kept. One that is not ``durable`` a power cut
        may undo until ``add_submission`` or ``finish_generation`` returns: nothing was bought, and the key is free.
        """

    async def add_submission(
        self, generation_id: str, worker_id: str, number: int, indexes: Sequence[int], model_id: str
    ) -> None:
        """Keep that a purchase of these pictures is about to be made from a model.

        Raises ``LeaseLostError``, and keeps nothing, unless the generation runs, is leased to the worker, and has no
        purchase of this number: nobody else may have bought anything in between.
        """

    async def accept_submission(self, generation_id: str, number: int, provider_job_id: str) -> None:
        """Keep the provider's id of a purchase."""

    async def void_submission(self, generation_id: str, number: int) -> None:
        """Keep that a purchase was surely not made."""

    async def finish_generation(
        self, generation: Generation, cost_micros: int, *, worker_id: str = "", notify: bool = False
    ) -> bool:
        """Keep the final state, the images and the month's usage, all at once.

        ``cost_micros`` is what the images cost, in millionths of a US dollar; the month is that of the
        generation's ``updated_at``. With ``notify`` a webhook delivery is kept along. Returns ``False`` and keeps
        nothing when the generation has ended already, or runs and is leased to another than ``worker_id``: then
        nobody may show these images. An outcome that was unknown gives way to images, though: they were paid for.
        """

    async def request_cancel(self, workspace_id: str, generation_id: str) -> None:
        """Ask whichever worker runs the generation to cancel it."""

    async def cancel_requests(self, worker_id: str) -> tuple[str, ...]:
        """Return the ids of the worker's running generations that somebody wants cancelled."""

    async def generation(self, workspace_id: str, generation_id: str) -> Generation | None:
        """Return the generation with its images and inputs, or ``None``.

        Its inputs are those that ``input_image`` would return.
        """

    async def input_image(self, workspace_id: str, generation_id: str, image_id: str) -> Image | None:
        """Return a picture that the generation started from, even a deleted one, or ``None``.

        A generation whose images are all deleted has no inputs to show any longer, nor has one that ended
        without any: their bytes may be gone.
        """

    async def renew_leases(self, worker_id: str, generation_ids: Sequence[str], lease_until: datetime) -> None:
        """Lease those generations for longer that run and are still leased to the worker."""

    async def end_leases(self, worker_ids: Sequence[str]) -> None:
        """End the leases of workers that are known to be dead."""

    async def take_over(
        self, worker_id: str, now: datetime, lease_until: datetime, limit: int
    ) -> tuple["Unfinished", ...]:
        """Lease running generations whose lease has ended to this worker, and return them. No two workers get one."""

    async def forget_keys(self, before: datetime) -> None:
        """Forget idempotency keys that were claimed before."""

    async def unknown_outcomes(self, image_ids: Sequence[str]) -> tuple["Unfinished", ...]:
        """Return the generations that ended as unknown and planned one of these images."""

    async def workspaces_to_notify(self, now: datetime) -> tuple[str, ...]:
        """Return the workspaces of which a webhook delivery is due."""

    async def lease_deliveries(
        self, workspace_id: str, now: datetime, lease_until: datetime, limit: int
    ) -> tuple[Delivery, ...]:
        """Return deliveries of the workspace that are due, the longest due first, and put them off.

        No two workers get one; it is due again at ``lease_until``, unless it ends or is postponed before.
        """

    async def end_delivery(self, delivery_id: str) -> None:
        """Note that the event was delivered, or is given up."""

    async def postpone_delivery(self, delivery: Delivery, until: datetime) -> None:
        """Count a failed attempt, and note when the next one is due.

        Changes nothing when somebody else ended or postponed the delivery since it was leased.
        """

    async def unknown_images(self, image_ids: Sequence[str]) -> tuple[str, ...]:
        """Return those ids that no row and no plan of a running generation knows."""

    async def images_between(self, first: str, last: str, limit: int) -> tuple[str, ...]:
        """Return ids of images whose bytes must be there, ``first`` < id <= ``last``, in order."""

    async def sweep_mark(self) -> str:
        """Return up to which id bytes and rows were compared; empty at first."""

    async def advance_sweep_mark(self, old: str, new: str) -> bool:
        """Move the mark, unless somebody else moved it from ``old`` before."""

    async def quota(self, workspace_id: str) -> Quota | None:
        """Return the quota of a workspace that has one of its own, or ``None``."""

    async def retention(self, workspace_id: str) -> Retention | None:
        """Return how long a workspace keeps its images that does not do as the others, or ``None``."""

    async def set_retention(self, workspace_id: str, retention: Retention | None) -> None:
        """Let a workspace keep its images for a time of its own; ``None``: as long as the others."""

    async def expired_images(self, usual: Retention, at: datetime, limit: int) -> tuple[Image, ...]:
        """Return up to ``limit`` images that their workspaces do not keep any longer, the oldest first.

        ``usual`` is for workspaces that have no time of their own.
        """

    async def fullest_quota(self, quota: Quota, at: datetime) -> float:
        """Return the largest part of its quota that a workspace used in the month of ``at``: 0 to 1, and 0 without any.

        ``quota`` is that of workspaces which have none of their own.
        """

    async def set_quota(self, workspace_id: str, quota: Quota | None) -> None:
        """Give a workspace a quota of its own; ``None`` takes it away."""

    async def usage(self, workspace_id: str, month: str) -> Usage:
        """Return what the workspace used in a month, such as ``2026-11`` (UTC)."""

    async def time(self) -> datetime | None:
        """Return the time by the database's own clock; ``None`` when it has none but that of this machine."""

    async def check(self) -> None:
        """Return when the database answers and has the newest schema; else raise."""

    async def close(self) -> None:
        """Release all connections. Nothing is called afterwards."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PictureInfo:
    """What a look into a picture's bytes tells."""

    format: OutputFormat
    width: int
    """In pixels as the picture is shown: after the turn that EXIF data ask for."""
    height: int


@dataclass(frozen=True, slots=True)
class ReadyPicture:
    """The bytes of a picture as they are kept or sent, and what they are."""

    data: bytes
    info: PictureInfo
    made_as: OutputFormat | None = None
    """Of a paid picture, the format that it came in; ``None`` when that is none of ours."""


class InvalidPictureError(Exception):
    """The bytes are no picture that can be kept; the message says why in plain words."""


class Spool(Protocol):
    """Keeps the bytes of paid pictures on this machine's disk until the blob store has them.

    Every method raises ``StorageUnavailableError`` when the disk is full or broken.
    """

    @property
    def goes_first(self) -> bool:
        """Whether a picture is kept here before the store is asked: for stores that are not on this machine."""

    async def keep(self, key: str, data: bytes) -> None:
        """Keep the bytes; when this returns, they survive a crash. Other bytes kept under this key before stay."""

    async def read(self, key: str) -> bytes | None:
        """Return the bytes, or ``None``."""

    async def keys(self) -> tuple[str, ...]:
        """Return the keys of all that is kept here."""

    async def discard(self, key: str) -> None:
        """Forget the bytes."""

    async def set_aside(self, key: str, data: bytes) -> None:
        """Keep what was paid for and can't be shown, until the operator looks at it; it is none of ``keys``."""

    def require_room(self) -> None:
        """Raise ``StorageUnavailableError`` unless there is room for what a purchase brings. Quick."""

    async def close(self) -> None:
        """Release what the spool holds. Nothing is called afterwards."""


class PictureCodec(Protocol):
    """Looks into pictures and re-encodes them, off the event loop. Raises ``OverloadedError`` when too many wait."""

    async def received(self, data: bytes) -> ReadyPicture:
        """Return an upload as it is kept: its first picture, without what phones let follow; decoded once.

        AVIF and HEIC become JPEG, or PNG when parts of them are transparent. Raises ``InvalidPictureError`` for what
        is not one whole, still picture within ``limits.MAX_PIXELS`` and ``limits.MAX_EDGE_PIXELS``; size is checked
        before decoding.
        """

    async def kept(self, data: bytes, wanted: OutputFormat | None) -> ReadyPicture:
        """Return a paid picture as it is kept: byte for byte when it has the format that is wanted.

        ``None`` wants whichever of our formats it has, else PNG. Raises ``InvalidPictureError`` only when no decoder
        shows it within the limits.
        """

    async def verify(self, data: bytes) -> PictureInfo:
        """Tell what stored bytes are. Raises ``InvalidPictureError`` for what is no picture of ours."""

    async def prepared(self, data: bytes) -> ReadyPicture | None:
        """Return a stored picture as providers get it: upright, without EXIF data, texts and what follows it.

        ``None`` when it is so as it stands. Raises ``InvalidPictureError`` when no decoder shows it.
        """

    def close(self) -> None:
        """Release threads. Nothing is called afterwards."""


class Deriver(Protocol):
    """Makes derivatives, off the event loop and apart from the ``PictureCodec``, so that paid pictures never wait."""

    async def derive(self, data: bytes, wanted: Derivative) -> bytes:
        """Return the derivative of a kept picture: the same for the same bytes, upright, never enlarged.

        The colour profile stays; EXIF data and texts are left out, and alpha becomes white in a JPEG. Raises
        ``InvalidPictureError`` for what the format can't hold, and ``OverloadedError`` when too many wait.
        """

    def close(self) -> None:
        """Release threads. Nothing is called afterwards."""


class InputPicture(Protocol):
    """A picture that a task starts from. Its bytes are read only when the model is ready for them."""

    @property
    def image(self) -> Image:
        """The facts: width, height, format, size."""

    async def read(self) -> bytes:
        """Return the bytes as stored."""

    def stream(self) -> AsyncIterator[bytes]:
        """Yield the bytes as stored, in order, in parts that are not kept: for who passes them on."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """What a model is asked for. It fits the model's capabilities."""

    task: Task
    seed: int
    """What the caller gave, or a random one. Picture ``i`` is made from ``seed + i``, modulo 2**32."""
    inputs: tuple[InputPicture, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class MadePicture:
    """One picture that a model made."""

    index: int
    """Position among the asked pictures, from 0."""
    data: bytes
    seed: int | None = None
    """The seed that makes this picture again, when the model has seeds."""
    model_id: str = ""
    """Which model made it, where that is not the one that the task names."""
    info: PictureInfo | None = None
    """What ``data`` is, from a model that encoded it itself; ``None`` has it verified."""


@dataclass(frozen=True, slots=True, kw_only=True)
class KnownSubmission:
    """A request that the provider accepted before, perhaps when another worker made it."""

    indexes: tuple[int, ...]
    """The pictures that it asks for, by their position among the asked ones, from 0."""
    provider_job_id: str
    """What ``Submission.accepted`` was told."""
    model_id: str = ""
    """Which model was asked, as ``Job.submitting`` was told."""


class Submission(Protocol):
    """One request that may cost money. Until one of these is called, nobody knows whether it was made."""

    async def accepted(self, provider_job_id: str) -> None:
        """Tell the provider's id of the work, before waiting for it; returns when the id is kept.

        The id is all that ``ResumableModel`` gets back: up to 2,000 characters, with no secret in them.
        """

    async def void(self) -> None:
        """Tell that surely nothing was bought: the provider was not reached, or refused the request."""


class Job(Protocol):
    """What a model tells while it works on one order. Called on the event loop only."""

    @property
    def watched(self) -> bool:
        """Whether anybody would see a preview now. Providers may charge for previews."""

    def progress(self, fraction: float) -> None:
        """Tell how much of the whole order is done, 0 to 1, as far as the model knows honestly."""

    def preview(self, index: int, data: bytes, content_type: str) -> None:
        """Show an early, rough form of a picture."""

    async def submitting(self, indexes: Sequence[int], model_id: str = "") -> "Submission":
        """Tell, before a request that may cost money leaves, which pictures it asks for; returns when that is kept.

        Once for each such request, a repeated one included. A model that buys nothing does not call it.
        ``model_id`` names the model that is asked, where that is not the one that the task names.
        """

    async def made(self, picture: MadePicture) -> None:
        """Hand over a finished picture; returns when its bytes are kept. Any order of indexes."""

    def missed(self, missing: MissingPicture) -> None:
        """Tell that one picture will not come, and why."""

    def describe(self, text: str) -> None:
        """Pass on the provider's own words about the pictures."""


class ImageModel(Protocol):
    """A model that the operator configured."""

    @property
    def capabilities(self) -> ModelCapabilities:
        """What it can do."""

    def unready_reason(self) -> str:
        """Return why it can't work now, such as missing credentials, in plain words; empty when it can."""

    async def run(self, order: Order, job: Job) -> None:
        """Make the pictures, telling ``job`` of each one made or missed; return when all are accounted for.

        Raises ``ContentRejectedError``, ``OverloadedError``, ``ProviderUnavailableError`` or
        ``ProviderMisconfiguredError`` when no picture was made; with ``outcome: unknown`` in its metadata when
        nobody knows whether something was bought. Cancelling the call stops waiting, and work on this machine;
        it leaves work at a provider alone, which is what ``ResumableModel.cancel`` is for.
        """

    async def close(self) -> None:
        """Release threads, processes and connections. Nothing is called afterwards."""


@runtime_checkable
class ResumableModel(ImageModel, Protocol):
    """A model whose provider knows its work by an id, across restarts of ours."""

    async def resume(self, order: Order, submissions: Sequence[KnownSubmission], job: Job) -> None:
        """Go on waiting for work that was submitted before, one submission at least; otherwise as ``run``.

        Never submits, and tells of the pictures of these submissions alone: of the others the model knows neither
        whether they are kept already, nor whether they were bought; the run that calls does, and judges them.
        """

    async def cancel(self, submission: KnownSubmission) -> bool:
        """Ask the provider to stop; return whether it may still bill."""


class TokenVerifier(Protocol):
    """Decides whether an access token is accepted."""

    async def verify(self, token: str) -> Caller:
        """Return who calls, or raise ``CredentialsInvalidError``, whose message says what is wrong with the token.

        Raises ``ProviderUnavailableError`` when no keys are known to check it with: the token may be fine.
        """

    async def close(self) -> None:
        """Release what the verifier holds. Nothing is called afterwards."""


class AddressSigner(Protocol):
    """Signs addresses, and knows its own signatures again. Quick enough for the event loop."""

    def sign(self, text: bytes) -> str:
        """Return the text with its signature, as one part of a path."""

    def verify(self, signed: str) -> bytes:
        """Return the text, or raise ``CredentialsInvalidError``."""


@runtime_checkable
class ForeignAddresses(Protocol):
    """Makes addresses under which the storage itself hands out blobs."""

    async def sign(self, key: str, ttl: timedelta) -> str:
        """Return an address of a blob that is good for so long. Raises ``StorageUnavailableError``."""


class DeliveryError(Exception):
    """A receiver did not take an event; the message says why, for the log: it holds no address and no secret."""

    def __init__(self, message: str, *, retry_after_s: float = 0.0) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s
        """How long the receiver asks to be left alone, in seconds."""


class ReceiverGoneError(DeliveryError):
    """The receiver wants no such events any longer."""


class WebhookSender(Protocol):
    """Tells receivers that the operator configured of the end of generations."""

    @property
    def workspaces(self) -> frozenset[str]:
        """Those that have a receiver."""

    async def send(self, delivery: Delivery, generation: Generation) -> None:
        """Make one attempt, of bounded time, to deliver the event; return when the receiver took it.

        The receiver knows the event by ``delivery.id``, which is the same in every attempt. Raises ``DeliveryError``.
        """

    async def close(self) -> None:
        """Release connections. Nothing is called afterwards."""
