"""The contract's own rules: what is generated is current, and what breaks clients is noticed."""

import shutil
import subprocess
import sys
from importlib import resources
from pathlib import Path

import pytest

from limner.domain import errors
from tools.generate import GOOGLE_PROTOS, GOOGLEAPIS

ROOT = Path(__file__).resolve().parents[2]
BUF = Path(sys.executable).parent / "buf"


def run(*command: str, cwd: Path = ROOT) -> "subprocess.CompletedProcess[str]":
    path = f"{Path(sys.executable).parent}:/usr/bin:/bin"
    return subprocess.run(command, cwd=cwd, capture_output=True, text=True, env={"PATH": path, "HOME": str(cwd)})


def test_what_is_generated_is_current(tmp_path: Path) -> None:
    done = run(sys.executable, "-m", "tools.generate", str(tmp_path))
    assert done.returncode == 0, done.stderr

    fresh = files(tmp_path)
    assert sorted(fresh) == sorted(files(ROOT / "generated"))
    stale = [name for name, content in fresh.items() if content != (ROOT / "generated" / name).read_bytes()]
    assert not stale, "run `make proto`"


def files(folder: Path) -> dict[str, bytes]:
    """Everything below the folder, as git would see it."""
    found = (path for path in folder.rglob("*") if path.is_file() and "__pycache__" not in path.parts)
    return {str(path.relative_to(folder)): path.read_bytes() for path in found}


@pytest.fixture
def workspace(tmp_path: Path) -> Path:
    """A copy of the protos, to be changed."""
    shutil.copytree(ROOT / "proto", tmp_path / "proto")
    shutil.copyfile(ROOT / "buf.yaml", tmp_path / "buf.yaml")
    return tmp_path


def breaks(workspace: Path) -> str:
    """What the copy breaks for clients of the contract as it is."""
    done = run(
        str(BUF), "breaking", "proto", "--against", str(ROOT / "generated" / "imageservice.binpb"), cwd=workspace
    )
    assert done.returncode in (0, 100), done.stderr
    return done.stdout


def test_the_contract_is_clean(workspace: Path) -> None:
    done = run(str(BUF), "lint", cwd=workspace)

    assert done.returncode == 0, done.stdout
    assert breaks(workspace) == ""


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("string prompt = 2", "string text = 2"),
        ("string prompt = 2", "string prompt = 12"),
        ("optional int32 num_images = 3", "optional int64 num_images = 3"),
        ("rpc GetUsage(GetUsageRequest)", "rpc ReadUsage(GetUsageRequest)"),
    ],
    ids=["renamed field", "renumbered field", "other type", "renamed call"],
)
def test_a_change_that_breaks_clients_is_noticed(workspace: Path, old: str, new: str) -> None:
    file = workspace / "proto" / "imageservice" / "v1" / "image_service.proto"
    before = file.read_text()
    file.write_text(before.replace(old, new, 1))
    assert file.read_text() != before

    assert "image_service.proto" in breaks(workspace)


def test_a_new_field_breaks_nobody(workspace: Path) -> None:
    file = workspace / "proto" / "imageservice" / "v1" / "image_service.proto"
    file.write_text(
        file.read_text().replace(
            "message ListModelsRequest {}", "message ListModelsRequest {\n  // New.\n  string operation = 1;\n}"
        )
    )

    assert breaks(workspace) == ""


def test_the_tree_of_errors_is_drawn_as_it_is() -> None:
    drawn = errors.__doc__ or ""

    assert [error.__name__ for error in errors.leaves() if error.__name__ not in drawn] == []


def test_the_protos_need_no_package_of_googles_to_be_loaded(tmp_path: Path) -> None:
    shutil.copytree(ROOT / "proto", tmp_path / "proto")
    sources = sorted(
        str(path.relative_to(ROOT / "proto")) for path in (ROOT / "proto" / "imageservice").rglob("*.proto")
    )
    builtins = Path(str(resources.files("grpc_tools"))) / "_proto"
    done = run(
        *(sys.executable, "-m", "grpc_tools.protoc", f"-I{tmp_path / 'proto'}", f"-I{builtins}"),
        *(f"--descriptor_set_out={tmp_path / 'set.binpb'}", *sources),
    )
    assert done.returncode == 0, done.stderr


def test_googles_protos_are_as_their_package_has_them() -> None:
    for name in GOOGLE_PROTOS:
        assert (ROOT / "proto" / name).read_bytes() == (GOOGLEAPIS / name).read_bytes()
