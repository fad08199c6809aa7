"""What the service counts and times, each named once: ``instruments.SPEND.add(0.04, model)``.

Nothing is recorded until a process names its recorders (``record_with``), which it does once, at its start. No label
holds a user, a workspace, a prompt or an id: each set of labels is a time series that is kept for ever.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from time import perf_counter
from typing import Final, Protocol

PICTURE_BUCKETS_S: Final = (
    *(0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5),
    *(1.0, 2.5, 5.0, 10.0, 20.0, 30.0, 60.0, 120.0, 240.0, 600.0),
)
"""From a look-up to the longest generation, in seconds."""


class Recorder(Protocol):
    """Keeps what the instruments tell, for those who operate the service. Neither blocks nor raises."""

    def add(self, counter: "Counter", amount: float, labels: tuple[str, ...]) -> None:
        """Count."""

    def observe(self, histogram: "Histogram", seconds: float, labels: tuple[str, ...]) -> None:
        """Note how long something took."""


_recorders: list[Recorder] = []


def record_with(*recorders: Recorder) -> None:
    """Let this process's instruments tell these recorders, and no others."""
    _recorders[:] = recorders


@dataclass(frozen=True, slots=True)
class Counter:
    """Something that only grows."""

    name: str
    """With its unit, and without the ``_total`` that Prometheus adds."""
    help: str
    labels: tuple[str, ...]

    def add(self, amount: float, *labels: str) -> None:
        """Count ``amount`` more under the values of the labels, in their order."""
        for recorder in _recorders:
            recorder.add(self, amount, labels)


@dataclass(frozen=True, slots=True)
class Histogram:
    """How long something takes, in seconds."""

    name: str
    help: str
    labels: tuple[str, ...]
    buckets: tuple[float, ...] = PICTURE_BUCKETS_S

    def observe(self, seconds: float, *labels: str) -> None:
        """Note one more, under the values of the labels, in their order."""
        for recorder in _recorders:
            recorder.observe(self, seconds, labels)

    @contextmanager
    def time(self, *labels: str) -> Iterator[None]:
        """Note how long the block takes, however it ends."""
        started = perf_counter()
        try:
            yield
        finally:
            self.observe(perf_counter() - started, *labels)


RPC_DURATION: Final = Histogram("limner_rpc_duration_seconds", "Calls, by how they ended.", ("method", "code"))
PROVIDER_REQUEST_DURATION: Final = Histogram(
    "limner_provider_request_duration_seconds",
    "Requests to a model's provider, or the work of a model of one's own: ok, refused, failed, unreachable or broken.",
    ("model", "outcome"),
)
TASK_DURATION: Final = Histogram(
    "limner_task_duration_seconds",
    "Generations from their row to their end: succeeded, partial, failed, cancelled or unknown.",
    ("operation", "model", "outcome"),
)
QUEUE_WAIT: Final = Histogram("limner_queue_wait_seconds", "Tasks waiting for a turn at a model.", ("model",))
STORAGE_DURATION: Final = Histogram(
    "limner_storage_duration_seconds",
    "Operations of the picture store: put, read, open, stream or delete.",
    ("operation",),
)
PURCHASES: Final = Counter(
    "limner_purchases",
    "Purchases that ended: bought, refused, lost (bought, without a usable picture), cancelled, unknown or not_bought.",
    ("model", "outcome"),
)
SPEND: Final = Counter("limner_spend_usd", "Price of the pictures that were kept, in US dollars.", ("model",))
IMAGES: Final = Counter("limner_images", "Pictures that were made and kept.", ("operation", "model"))
WEBHOOK_DELIVERIES: Final = Counter(
    "limner_webhook_deliveries", "Attempts to tell a receiver: delivered, failed or gone.", ("outcome",)
)
REJECTIONS: Final = Counter("limner_rejections", "Calls that were answered by an error, by its reason.", ("reason",))
EXPIRED_IMAGES: Final = Counter("limner_expired_images", "Images that were deleted since their time was over.", ())

INSTRUMENTS: Final = (
    *(RPC_DURATION, PROVIDER_REQUEST_DURATION, TASK_DURATION, QUEUE_WAIT, STORAGE_DURATION),
    *(PURCHASES, SPEND, IMAGES, EXPIRED_IMAGES, WEBHOOK_DELIVERIES, REJECTIONS),
)

asked_model: ContextVar[str] = ContextVar("asked_model", default="")
"""The model for which this task asks a provider; empty for requests that are no model's."""
