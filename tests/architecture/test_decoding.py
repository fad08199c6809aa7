"""Only one room opens and writes pictures."""

import ast
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2] / "src"
ROOM = ROOT / "limner" / "imaging"


def openings(path: Path) -> Iterator[str]:
    """The places in a module where Pillow, or another decoder, is asked to open or write a file."""
    tree = ast.parse(path.read_text())
    for node in ast.walk(tree):
        place = f"{path.relative_to(ROOT)}:{getattr(node, 'lineno', 0)}"
        if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] in ("pi_heif", "cv2", "imageio"):
            yield f"{place} imports {node.module}"
        if isinstance(node, ast.ImportFrom) and node.module and node.module.startswith("PIL"):
            names = {alias.name for alias in node.names}
            if "ImageFile" in names or node.module.endswith("ImagePlugin") or "open" in names:
                yield f"{place} imports {', '.join(sorted(names))}"
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
            of = node.func.value.id if isinstance(node.func.value, ast.Name) else ""
            if (node.func.attr == "open" and of in ("Image", "Pillow")) or node.func.attr in ("exif_transpose", "save"):
                yield f"{place} calls {of}.{node.func.attr}"


def test_no_other_room_opens_turns_or_writes_a_picture() -> None:
    modules = [path for path in ROOT.rglob("*.py") if ROOM not in path.parents]
    assert [each for path in modules for each in openings(path)] == []


def test_the_room_itself_does() -> None:
    assert any("save" in each for path in ROOM.glob("*.py") for each in openings(path))
