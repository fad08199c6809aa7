"""The client's own wheel: built, unpacked beside its three dependencies and nothing else, and used."""

import os
import shutil
import subprocess
import sys
import zipfile
from importlib.metadata import distribution
from pathlib import Path

import pytest

from tests.standin import TOKEN, WORKSPACE, StandIn

PROJECT = Path(__file__).resolve().parents[2] / "clients" / "python"
NEEDED = ("grpcio", "protobuf", "googleapis-common-protos", "typing-extensions")
"""The three, and what gRPC itself needs."""
MOST_BYTES = 40 << 20

CALL = """
import sys
from limner.client import Client, RetryBudget
with Client(sys.argv[1], token=sys.argv[2], workspace=sys.argv[3]) as client:
    print(len(client.generate("a cat", num_images=2).images))
print(*sorted(name for name in sys.modules if name.startswith("limner.") and not name.startswith("limner.client")))
"""
TYPED = """
from limner.client import Client
with Client() as client:
    reveal_type(client.generate("a cat").images[0].image_width)
"""


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "hatchling", "build", "--target", "wheel", "--directory", str(folder)]
    subprocess.run(command, cwd=PROJECT, check=True, capture_output=True)
    (built,) = folder.glob("limner_client-*.whl")
    return built


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the wheel and its dependencies alone."""
    folder = tmp_path_factory.mktemp("installed")
    for name in NEEDED:
        for file in distribution(name).files or ():
            source = Path(str(file.locate()))
            if ".." not in file.parts and source.is_file():
                (folder / file).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy2(source, folder / file)
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(folder)
    return folder


def test_it_works_with_its_dependencies_alone(installed: Path, service: StandIn) -> None:
    command = [sys.executable, "-S", "-c", CALL, service.address, TOKEN, WORKSPACE]
    called = subprocess.run(command, env={"PYTHONPATH": str(installed)}, capture_output=True, text=True, check=False)
    assert called.stdout.splitlines() == ["2", ""], called.stderr


def test_it_is_light(installed: Path) -> None:
    sizes = (file.stat().st_size for file in installed.rglob("*") if file.is_file() and "__pycache__" not in file.parts)
    assert sum(sizes) < MOST_BYTES


def test_type_checkers_see_its_types(wheel: Path, tmp_path: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(tmp_path / "site")
    (tmp_path / "code.py").write_text(TYPED)
    environment = {**os.environ, "MYPYPATH": str(tmp_path / "site")}
    command = [sys.executable, "-m", "mypy", "--config-file=", "--explicit-package-bases", str(tmp_path / "code.py")]
    told = subprocess.run(command, env=environment, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert 'Revealed type is "int"' in told.stdout.replace("builtins.", ""), told.stdout


def test_it_carries_what_it_is_made_of(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
    assert {"limner/py.typed", "imageservice/py.typed", "imageservice/proto/imageservice/v1/image.proto"} <= names
    assert any(name.endswith("licenses/LICENSE") for name in names)
    assert (
        not {name for name in names if name.startswith("limner/")}
        - {"limner/__init__.py", "limner/py.typed"}
        - {name for name in names if name.startswith("limner/client/")}
    )
