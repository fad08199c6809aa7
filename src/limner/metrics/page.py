"""The page of metrics: what the workers of a data directory counted, dead ones too, and how the living ones are.

Each worker counts in files of its own that the kernel keeps when it dies; ``prometheus_client`` adds them up. The
gauges come from what the living workers tell of themselves.
"""

from collections import Counter
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Final

from prometheus_client.exposition import choose_encoder
from prometheus_client.metrics_core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.multiprocess import MultiProcessCollector
from prometheus_client.registry import CollectorRegistry

from limner.liveness import WorkerLocks
from limner.metrics.recorder import metrics_folder
from limner.service import instruments
from limner.service.clock import Clock, utc_now
from limner.storage.spool import spooled
from limner.vitals import BREAKER_STATES, BreakerVitals, Vitals, breakers_of, vitals_of_living

GAUGES: Final = (
    "limner_workers",
    "limner_tasks_in_flight",
    "limner_leases",
    "limner_spool_bytes",
    "limner_spool_pictures",
    "limner_quota_used_ratio",
    "limner_breaker_state",
    "limner_breaker_consecutive_failures",
)


def metrics_page(data_dir: Path, accept: str = "", clock: Clock = utc_now) -> tuple[bytes, str]:
    """Return the page and its content type: OpenMetrics where ``accept`` asks for it, else Prometheus' text. Blocks."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_Workers(vitals_of_living(WorkerLocks(data_dir / "workers")), clock()))
    registry.register(_Spool(data_dir / "spool"))
    registry.register(_Counted(metrics_folder(data_dir)))
    encode, content_type = choose_encoder(accept)
    return encode(registry), content_type


class _Counted:
    """Collects what was counted; an instrument that told nothing yet is there without a sample."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def collect(self) -> Iterator[Metric]:
        """Yield the metrics."""
        found: dict[str, Metric] = {}
        if self._folder.is_dir():
            collector = MultiProcessCollector(CollectorRegistry(), str(self._folder))  # type: ignore[no-untyped-call]
            found = {each.name: each for each in collector.collect()}  # type: ignore[no-untyped-call]
        for each in instruments.INSTRUMENTS:
            family = CounterMetricFamily if isinstance(each, instruments.Counter) else HistogramMetricFamily
            yield found.get(each.name) or family(each.name, each.help, labels=each.labels)


class _Spool:
    """Collects what waits in the spool, which the workers of a machine share."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def collect(self) -> Iterator[Metric]:
        """Yield the metrics."""
        pictures, size_bytes = spooled(self._folder)
        yield _gauge("limner_spool_bytes", "Paid pictures that wait for the storage, in bytes.", size_bytes)
        yield _gauge("limner_spool_pictures", "Paid pictures that wait for the storage.", pictures)


class _Workers:
    """Collects how the workers are, all of them together: a worker's id is soon gone."""

    def __init__(self, workers: dict[str, Vitals | None], now: datetime) -> None:
        self._workers = workers
        self._now = now

    def collect(self) -> Iterator[Metric]:
        """Yield the metrics."""
        told = [each for each in self._workers.values() if each is not None]
        yield GaugeMetricFamily("limner_workers", "Workers that are alive.", value=len(self._workers))
        yield _gauge("limner_tasks_in_flight", "Tasks at work.", sum(each.in_flight for each in told))
        yield _gauge("limner_leases", "Generations that are leased to a worker.", sum(each.leased for each in told))
        ratio = max((each.quota_used for each in told), default=0.0)
        yield _gauge("limner_quota_used_ratio", "Part of its quota that the fullest workspace used this month.", ratio)
        breakers = breakers_of(self._workers.values())
        yield self._states(breakers)
        yield self._failures(breakers)

    def _states(self, breakers: dict[tuple[str, str], list[BreakerVitals]]) -> Metric:
        text = "Workers whose circuit breaker for the provider's model is in the state: closed, half-open or open."
        gauge = GaugeMetricFamily("limner_breaker_state", text, labels=["provider", "model", "state"])
        for name, group in breakers.items():
            counts = Counter(each.state(self._now) for each in group)
            for state in BREAKER_STATES:
                gauge.add_metric([*name, state], counts[state])
        return gauge

    def _failures(self, breakers: dict[tuple[str, str], list[BreakerVitals]]) -> Metric:
        text = "Failures in a row of the provider's model, in the worker that saw the most."
        gauge = GaugeMetricFamily("limner_breaker_consecutive_failures", text, labels=["provider", "model"])
        for name, group in breakers.items():
            gauge.add_metric(name, max(each.consecutive_failures for each in group))
        return gauge


def _gauge(name: str, text: str, value: float) -> Metric:
    return GaugeMetricFamily(name, text, value=value)
