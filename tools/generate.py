"""Generates the stubs, the descriptor set and the OpenAPI description from ``proto/``.

Usage: ``python -m tools.generate [OUT]``, where ``OUT`` is a folder, by default ``generated``. Google's protos that
ours import are copied beside ours first, from the installed ``googleapis-common-protos``: ``proto/`` is whole by
itself, for ``buf`` and for whoever loads it without a package of Google's.
"""

import json
import shutil
import subprocess
import sys
import tomllib
from importlib import resources
from pathlib import Path

from google.api import http_pb2
from google.protobuf.descriptor_pb2 import FileDescriptorSet
from grpc_tools import protoc

GOOGLEAPIS = Path(http_pb2.__file__).parent.parent.parent
ROOT = Path(__file__).resolve().parent.parent
SOURCES = [str(path.relative_to(ROOT / "proto")) for path in sorted((ROOT / "proto" / "imageservice").rglob("*.proto"))]
GOOGLE_PROTOS = (
    "google/api/annotations.proto",
    "google/api/field_behavior.proto",
    "google/api/http.proto",
    "google/api/httpbody.proto",
    "google/rpc/status.proto",
)
ALSO_IN_DESCRIPTOR_SET = "google/rpc/error_details.proto"
"""Errors carry these messages in an ``Any``: without their descriptors Envoy can't print them as JSON."""


def main(out: Path) -> None:
    """Write everything below ``out``, replacing what is there."""
    builtins = Path(str(resources.files("grpc_tools"))) / "_proto"
    includes = [f"-I{ROOT / 'proto'}", f"-I{GOOGLEAPIS}", f"-I{builtins}"]
    copy_imports()
    shutil.rmtree(out / "imageservice", ignore_errors=True)
    out.mkdir(parents=True, exist_ok=True)
    stubs = [f"--{kind}_out={out}" for kind in ("python", "grpc_python", "mypy", "mypy_grpc")]
    run([*includes, *stubs, *SOURCES])
    descriptors = f"--descriptor_set_out={out / 'imageservice.binpb'}"
    run([*includes, descriptors, "--include_imports", "--include_source_info", *SOURCES, ALSO_IN_DESCRIPTOR_SET])
    for package in (out / "imageservice", out / "imageservice" / "v1"):
        (package / "__init__.py").touch()
    describe(out)


def describe(out: Path) -> None:
    """Write the OpenAPI description of what ``out`` holds, beside the stubs, so that the wheel has it."""
    # Imported late: what only copies Google's protos has no stubs of ours yet.
    from tools.openapi import document

    version = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    descriptors = FileDescriptorSet.FromString((out / "imageservice.binpb").read_bytes())
    text = json.dumps(document(descriptors, version), indent=1, ensure_ascii=False)
    (out / "imageservice" / "openapi.json").write_text(text + "\n", encoding="utf-8")
    if out == ROOT / "generated":
        build_typescript()


def build_typescript() -> None:
    """Write the TypeScript client's types, and what its compiler makes of all, where Node and its packages are."""
    from tools.typescript import DESCRIPTION, TYPES, types

    TYPES.write_text(types(json.loads(DESCRIPTION.read_text(encoding="utf-8"))), encoding="utf-8")
    client = TYPES.parent.parent
    compiler = client / "node_modules" / "typescript" / "bin" / "tsc"
    if shutil.which("node") is None or not compiler.exists():
        sys.stderr.write("clients/typescript/lib is as it was: Node, or `npm ci` in clients/typescript, is missing\n")
        return
    subprocess.run(["node", str(compiler), "--project", str(client)], check=True)


def run(arguments: list[str]) -> None:
    """Run protoc, and end with its exit code when it fails."""
    if code := protoc.main(["protoc", *arguments]):
        sys.exit(code)


def copy_imports() -> None:
    """Copy the protos that ours import beside ours."""
    for name in GOOGLE_PROTOS:
        target = ROOT / "proto" / name
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(GOOGLEAPIS / name, target)


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else ROOT / "generated")
