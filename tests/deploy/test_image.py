"""The Dockerfile and what lies around it. Docker's engine is not asked for: nothing is built here."""

import json
import re
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import yaml

from limner.metrics.page import GAUGES
from limner.service.instruments import INSTRUMENTS, Counter
from tests.deploy.charts import DEPLOY

PROJECT = DEPLOY.parent
METRIC = re.compile(r"\blimner_[a-z_]+")


def test_hadolint_finds_nothing() -> None:
    hadolint = Path(sys.executable).with_name("hadolint")
    found = subprocess.run([hadolint, DEPLOY / "Dockerfile"], capture_output=True, text=True, check=False)
    assert (found.stdout, found.returncode) == ("", 0)


def test_the_image_installs_hashed_packages_alone() -> None:
    text = (DEPLOY / "Dockerfile").read_text()
    installs = re.findall(r"pip install(?:[^\n]|\\\n)*", text)
    assert installs and all("--no-deps" in each for each in installs)
    assert "--require-hashes" in installs[0] and "--no-build-isolation" in installs[1]
    assert re.search(r"^USER 10001", text, re.MULTILINE)


def test_what_the_image_copies_is_let_through_and_there() -> None:
    lines = (DEPLOY / "Dockerfile").read_text().splitlines()
    copied = [
        word for line in lines if line.startswith("COPY ") and "--from" not in line for word in line.split()[1:-1]
    ]
    let_through = {line[1:] for line in (PROJECT / ".dockerignore").read_text().splitlines() if line.startswith("!")}
    assert set(copied) == let_through
    assert all((PROJECT / name).exists() for name in copied)


def test_the_runtime_lock_is_the_big_lock_without_its_development_tools() -> None:
    """Both must be of the same moment: what was tested is what runs."""
    tested, runs = _pins(PROJECT / "requirements.lock"), _pins(PROJECT / "requirements-runtime.lock")
    assert {name: tested.get(name) for name in runs} == runs
    assert "pytest" not in runs


def test_the_wheel_is_built_by_what_the_image_has() -> None:
    build = tomllib.loads((PROJECT / "pyproject.toml").read_text())["build-system"]["requires"]
    assert set(build) <= set(_pins(PROJECT / "requirements-runtime.lock"))


def test_alerts_point_to_headings_that_exist() -> None:
    headings = {
        re.sub(r"[^a-z0-9 -]", "", line.lstrip("#").strip().lower()).replace(" ", "-")
        for line in (PROJECT / "docs" / "deploy.md").read_text().splitlines()
        if line.startswith("#")
    }
    rules = _rules()
    assert len(rules) >= 8
    for rule in rules:
        assert rule["annotations"]["runbook"].removeprefix("docs/deploy.md#") in headings, rule["alert"]


def test_the_dashboard_has_no_panel_without_a_query() -> None:
    board = json.loads((DEPLOY / "grafana" / "limner.json").read_text())
    panels = [each for each in board["panels"] if each["type"] != "row"]
    assert len({each["id"] for each in board["panels"]}) == len(board["panels"])
    assert panels and all(METRIC.search(target["expr"]) for panel in panels for target in panel["targets"])


def test_alerts_and_dashboard_ask_for_metrics_that_exist() -> None:
    known = set(GAUGES)
    for each in INSTRUMENTS:
        kinds = ("_total",) if isinstance(each, Counter) else ("_bucket", "_count", "_sum")
        known |= {each.name + kind for kind in kinds}
    board = (DEPLOY / "grafana" / "limner.json").read_text()
    asked = set(METRIC.findall(board)) | {name for rule in _rules() for name in METRIC.findall(rule["expr"])}
    assert asked <= known
    never_asked = {each.name for each in INSTRUMENTS if not any(name.startswith(each.name) for name in asked)}
    assert never_asked == set()


def _rules() -> list[dict[str, Any]]:
    text = (DEPLOY / "prometheus" / "alerts.yml").read_text()
    return [rule for group in yaml.safe_load(text)["groups"] for rule in group["rules"]]


def _pins(lock: Path) -> dict[str, str]:
    return dict(re.findall(r"^([a-z0-9._-]+)(?:\[[^]]*\])?==([^\s;]+)", lock.read_text(), re.MULTILINE))
