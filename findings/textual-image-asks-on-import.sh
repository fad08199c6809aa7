#!/usr/bin/env bash
# textual-image 0.12.0 writes escape codes to the terminal, and reads from it, while it is imported, before any picture.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check textual-image==0.12.0 rich==14.2.0 pillow==12.0.0
cat > "$folder/look.py" <<'PY'
import os
import pty
import select
import subprocess
import sys
from importlib.metadata import version

terminal, side = pty.openpty()
child = subprocess.Popen(
    [sys.executable, "-c", "import textual_image.renderable"], stdin=side, stdout=side, stderr=side
)
os.close(side)
seen = b""
while select.select([terminal], [], [], 10)[0]:
    try:
        part = os.read(terminal, 4096)
    except OSError:
        break
    if not part:
        break
    seen += part
child.wait(10)
print("textual-image", version("textual-image"), "wrote on import:", seen)
sys.exit(0 if b"\x1b[c" in seen or b"\x1b_G" in seen else 1)
PY
"$folder/venv/bin/python" "$folder/look.py"
