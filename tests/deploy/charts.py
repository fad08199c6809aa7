"""The Helm chart, rendered by Helm's own library: no cluster and no `helm` command are needed."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import helm_python as helm
import yaml

DEPLOY = Path(__file__).resolve().parents[2] / "deploy"
CHART = DEPLOY / "helm" / "limner"


def rendered(values: dict[str, Any] | None = None) -> list[dict[str, Any]]:
    """Return the manifests of a release that is called `pictures`."""
    return list(_manifests(values or {}))


def only(manifests: list[dict[str, Any]], kind: str) -> dict[str, Any]:
    """Return the one manifest of a kind."""
    (manifest,) = [each for each in manifests if each["kind"] == kind]
    return manifest


def _manifests(values: dict[str, Any]) -> Iterator[dict[str, Any]]:
    with helm.Chart.load(CHART) as chart:
        files = chart.render(values, name="pictures", namespace="media")
    for name, text in sorted(files.items()):
        if name.endswith(".yaml"):
            yield from filter(None, yaml.safe_load_all(text))
