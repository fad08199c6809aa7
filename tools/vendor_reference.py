"""Brings Swagger UI, which draws the reference page, from its npm package into the service.

Usage: ``python -m tools.vendor_reference``, with ``npm`` installed. The files lie compressed, as they are sent; nothing
of them is changed. To take another version, write it here with its ``integrity`` (``npm view swagger-ui-dist@VERSION
dist.integrity``).
"""

import base64
import gzip
import hashlib
import io
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path
from typing import Final

PACKAGE: Final = "swagger-ui-dist"
VERSION: Final = "5.35.0"
INTEGRITY: Final = "sha512-U06rpMtW9V3XPGOBeamTUSr0Z09jMX4IJuANpE/EZbAhw0G8CgwrzU4YmXkn/h0wCDNsXdGarTNNHC3sU8yVUQ=="
FILES: Final = ("swagger-ui-bundle.js", "swagger-ui.css")
LICENCES: Final = ("LICENSE", "NOTICE", "swagger-ui-bundle.js.LICENSE.txt")
TARGET: Final = Path(__file__).resolve().parent.parent / "src" / "limner" / "web" / "reference" / "swagger_ui"


def main() -> None:
    """Write everything below ``TARGET``, replacing what is there."""
    with tarfile.open(fileobj=io.BytesIO(packed())) as archive:
        TARGET.mkdir(parents=True, exist_ok=True)
        for name in LICENCES:
            (TARGET / name).write_bytes(content(archive, name))
        for name in FILES:
            # Without a time, so that the same file gives the same bytes.
            (TARGET / f"{name}.gz").write_bytes(gzip.compress(content(archive, name), mtime=0))
    (TARGET / "VERSION").write_text(f"{PACKAGE} {VERSION} {INTEGRITY}\n")


def packed() -> bytes:
    """Return the package as the registry has it; end when it is not the one that was looked at."""
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run(["npm", "pack", "--silent", f"{PACKAGE}@{VERSION}"], cwd=folder, check=True)
        (archive,) = Path(folder).iterdir()
        data = archive.read_bytes()
    found = f"sha512-{base64.b64encode(hashlib.sha512(data).digest()).decode()}"
    if found != INTEGRITY:
        sys.exit(f"{PACKAGE} {VERSION} is {found}, not {INTEGRITY}")
    return data


def content(archive: tarfile.TarFile, name: str) -> bytes:
    """Return a file of the package."""
    file = archive.extractfile(f"package/{name}")
    assert file is not None
    return file.read()


if __name__ == "__main__":
    main()
