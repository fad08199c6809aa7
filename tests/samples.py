"""What a page of Prometheus metrics says."""

from prometheus_client.parser import text_string_to_metric_families

LABELS = ("provider", "operation", "model", "state", "outcome", "method", "code", "reason", "le")


def samples(page: bytes) -> dict[tuple[str, ...], float]:
    """The samples by their name and the values of their labels, in the order of ``LABELS``."""
    found = [each for family in text_string_to_metric_families(page.decode()) for each in family.samples]
    return {(each.name, *(each.labels[name] for name in LABELS if name in each.labels)): each.value for each in found}
