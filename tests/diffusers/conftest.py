"""Tiny pipelines, made once for all tests."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

PROJECT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="session")
def pipelines(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder that ``tiny.save_all`` filled, in a process of its own: this one stays without PyTorch."""
    folder = tmp_path_factory.mktemp("pipelines")
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(PROJECT), *sys.path]), "TQDM_DISABLE": "1"}
    subprocess.run(
        [sys.executable, "-m", "tests.diffusers.tiny", str(folder)], env=environment, check=True, capture_output=True
    )
    return folder
