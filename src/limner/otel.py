"""OpenTelemetry: spans and metrics to a collector, by the standard ``OTEL_*`` settings.

Exporters work in threads of
their own with bounded queues: a collector that is down or slow costs its data, and no caller's time.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from importlib.metadata import version
from typing import Any, Final

from limner.service.instruments import INSTRUMENTS, Counter, Histogram
from limner.service.tracing import Attributes, Kind, Span

NAME: Final = "limner"
_PACKAGES: Final = {"grpc": "grpc", "http/protobuf": "http"}


class OtelError(Exception):
    """What was asked for can't be had; the text says why, for the operator."""


class Telemetry:
    """A worker's tracer and recorder. Built in the worker's process, since its threads outlive no fork."""

    def __init__(self) -> None:
        """Raises ``OtelError`` when the packages of ``limner[otel]`` are missing."""
        try:
            from opentelemetry.sdk.metrics import MeterProvider
            from opentelemetry.sdk.resources import Resource
            from opentelemetry.sdk.trace import TracerProvider
        except ImportError as error:
            raise OtelError("OTEL_EXPORTER_OTLP_ENDPOINT is set, and limner[otel] is not installed") from error
        # OTEL_SERVICE_NAME and OTEL_RESOURCE_ATTRIBUTES win.
        named = "OTEL_SERVICE_NAME" in os.environ or "service.name" in os.environ.get("OTEL_RESOURCE_ATTRIBUTES", "")
        resource = Resource.create({**({} if named else {"service.name": NAME}), "service.version": version("limner")})
        # None of our spans outlives its process's shutdown, which ``close`` does in good order.
        self._traces = TracerProvider(resource=resource, shutdown_on_exit=False)
        self._metrics: MeterProvider | None = None
        self._export_traces()
        self._export_metrics(resource)
        self.tracer = OtelTracer(self._traces.get_tracer(NAME, version("limner")))
        self.recorder = OtelRecorder(self._metrics.get_meter(NAME)) if self._metrics else None

    def close(self) -> None:
        """Send what is left, for at most the exporters' own time limits. Blocks."""
        self._traces.shutdown()
        if self._metrics is not None:
            self._metrics.shutdown()

    def _export_traces(self) -> None:
        if os.environ.get("OTEL_TRACES_EXPORTER", "otlp") != "otlp":
            return
        from opentelemetry.sdk.trace.export import BatchSpanProcessor

        module = _exporters("trace_exporter", "OTEL_EXPORTER_OTLP_TRACES_PROTOCOL")
        self._traces.add_span_processor(BatchSpanProcessor(module.OTLPSpanExporter()))

    def _export_metrics(self, resource: Any) -> None:
        if os.environ.get("OTEL_METRICS_EXPORTER", "otlp") != "otlp":
            return
        from opentelemetry.sdk.metrics import MeterProvider
        from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader
        from opentelemetry.sdk.metrics.view import ExplicitBucketHistogramAggregation, View

        module = _exporters("metric_exporter", "OTEL_EXPORTER_OTLP_METRICS_PROTOCOL")
        views = [
            View(instrument_name=each.name, aggregation=ExplicitBucketHistogramAggregation(boundaries=each.buckets))
            for each in INSTRUMENTS
            if isinstance(each, Histogram)
        ]
        reader = PeriodicExportingMetricReader(module.OTLPMetricExporter())
        self._metrics = MeterProvider([reader], resource=resource, views=views, shutdown_on_exit=False)


def _exporters(kind: str, own_variable: str) -> Any:
    """Return the module of the exporters for the protocol that the environment names; gRPC when it names none."""
    protocol = os.environ.get(own_variable) or os.environ.get("OTEL_EXPORTER_OTLP_PROTOCOL") or "grpc"
    if protocol not in _PACKAGES:
        raise OtelError(f"OTEL_EXPORTER_OTLP_PROTOCOL: {protocol!r} must be one of {', '.join(_PACKAGES)}")
    return import_module(f"opentelemetry.exporter.otlp.proto.{_PACKAGES[protocol]}.{kind}")


class OtelTracer:
    """Spans by OpenTelemetry's SDK."""

    def __init__(self, tracer: Any) -> None:
        from opentelemetry import context, trace
        from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

        self._tracer = tracer
        self._trace = trace
        self._context = context
        self._propagator = TraceContextTextMapPropagator()
        self._kinds = {
            Kind.INTERNAL: trace.SpanKind.INTERNAL,
            Kind.SERVER: trace.SpanKind.SERVER,
            Kind.CLIENT: trace.SpanKind.CLIENT,
        }

    @contextmanager
    def span(self, name: str, kind: Kind, attributes: Attributes, traceparent: str, tracestate: str) -> Iterator[Span]:
        """As ``Tracer.span``."""
        parent = None
        if traceparent:
            parent = self._propagator.extract({"traceparent": traceparent, "tracestate": tracestate})
        # What is raised is told by the caller, in a word: its text may hold what nobody should read.
        with self._tracer.start_as_current_span(
            name, parent, self._kinds[kind], attributes, record_exception=False, set_status_on_exception=False
        ) as span:
            yield OtelSpan(span)

    def begin(self, name: str, kind: Kind, attributes: Attributes) -> Span:
        """As ``Tracer.begin``."""
        span = self._tracer.start_span(name, None, self._kinds[kind], attributes)
        self._context.attach(self._trace.set_span_in_context(span))
        return OtelSpan(span)

    def traceparent(self) -> str:
        """As ``Tracer.traceparent``."""
        carrier: dict[str, str] = {}
        self._propagator.inject(carrier)
        return carrier.get("traceparent", "")


class OtelSpan:
    """A span of OpenTelemetry's SDK."""

    def __init__(self, span: Any) -> None:
        self._span = span

    def note(self, attributes: Attributes) -> None:
        """As ``Span.note``."""
        self._span.set_attributes(dict(attributes))

    def fail(self, why: str) -> None:
        """As ``Span.fail``."""
        from opentelemetry.trace import Status, StatusCode

        self._span.set_status(Status(StatusCode.ERROR, why))
        self._span.set_attribute("error.type", why)

    def end(self) -> None:
        """As ``Span.end``."""
        if self._span.is_recording():
            self._span.end()


class OtelRecorder:
    """Counts by OpenTelemetry's SDK (``instruments.Recorder``)."""

    def __init__(self, meter: Any) -> None:
        self._counters = {
            each: meter.create_counter(each.name, description=each.help)
            for each in INSTRUMENTS
            if isinstance(each, Counter)
        }
        self._histograms = {
            each: meter.create_histogram(each.name, unit="s", description=each.help)
            for each in INSTRUMENTS
            if isinstance(each, Histogram)
        }

    def add(self, counter: Counter, amount: float, labels: tuple[str, ...]) -> None:
        """As ``Recorder.add``."""
        self._counters[counter].add(amount, dict(zip(counter.labels, labels, strict=True)))

    def observe(self, histogram: Histogram, seconds: float, labels: tuple[str, ...]) -> None:
        """As ``Recorder.observe``."""
        self._histograms[histogram].record(seconds, dict(zip(histogram.labels, labels, strict=True)))
