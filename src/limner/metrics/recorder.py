"""Keeps what the instruments tell in files of this process, which outlive it.

``prometheus_client`` decides when it is imported whether and where it counts in files, so ``prepare`` comes first.
"""

import os
from pathlib import Path
from typing import Final

from limner.service.instruments import INSTRUMENTS, Counter, Histogram

_FOLDER_VARIABLE: Final = "PROMETHEUS_MULTIPROC_DIR"


def metrics_folder(data_dir: Path) -> Path:
    """Return where the workers of a data directory count."""
    return data_dir / "metrics"


def prepare(data_dir: Path, *, anew: bool) -> None:
    """Let this process and its children count in the folder; ``anew`` forgets what was counted before. Blocks."""
    folder = metrics_folder(data_dir)
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    for file in folder.glob("*.db") if anew else ():
        file.unlink(missing_ok=True)
    os.environ[_FOLDER_VARIABLE] = str(folder)


class PrometheusRecorder:
    """Counts for Prometheus. Costs some microseconds a call, and no system call."""

    def __init__(self) -> None:
        """Count in files of this process. ``prepare`` was called before, here or in a parent."""
        import prometheus_client

        registry = prometheus_client.CollectorRegistry(auto_describe=False)
        self._counters = {
            each: prometheus_client.Counter(each.name, each.help, each.labels, registry=registry)
            for each in INSTRUMENTS
            if isinstance(each, Counter)
        }
        self._histograms = {
            each: prometheus_client.Histogram(
                each.name, each.help, each.labels, buckets=each.buckets, registry=registry
            )
            for each in INSTRUMENTS
            if isinstance(each, Histogram)
        }

    def add(self, counter: Counter, amount: float, labels: tuple[str, ...]) -> None:
        """As ``Recorder.add``."""
        series = self._counters[counter]
        (series.labels(*labels) if labels else series).inc(amount)

    def observe(self, histogram: Histogram, seconds: float, labels: tuple[str, ...]) -> None:
        """As ``Recorder.observe``."""
        self._histograms[histogram].labels(*labels).observe(seconds)
