"""Pictures written to disk: whole or not at all, never over another file unless told to."""

import errno
import re
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, Final

_SIGNATURES: Final = (
    (re.compile(rb"\x89PNG\r\n\x1a\n"), ".png"),
    (re.compile(rb"\xff\xd8\xff"), ".jpg"),
    (re.compile(rb"RIFF....WEBP", re.DOTALL), ".webp"),
)
_PLAIN_NAME: Final = re.compile(r"[A-Za-z0-9_-]{1,128}")


def picture_path(to: Path, image_id: str, head: bytes) -> Path:
    """Return where a picture goes: ``to``, or in that directory its id with the ending that its first bytes tell.

    Raises ``ValueError`` for an id that is no plain name, so that no answer decides about a path.
    """
    if not to.is_dir():
        return to
    if not _PLAIN_NAME.fullmatch(image_id):
        raise ValueError(f"{image_id!r} is no id of an image")
    return to / f"{image_id}{_suffix(head)}"


@contextmanager
def atomic_file(path: Path, *, overwrite: bool) -> Iterator[BinaryIO]:
    """Yield a file that becomes ``path`` when the block ends well, and vanishes when it does not.

    Raises ``FileExistsError`` when ``path`` is there and may not be overwritten.
    """
    if path.exists() and not overwrite:
        raise FileExistsError(errno.EEXIST, "exists already", str(path))
    part = path.with_name(f".{path.name}.{secrets.token_hex(4)}.part")
    try:
        with part.open("xb") as file:
            yield file
        _place(part, path, overwrite=overwrite)
    finally:
        part.unlink(missing_ok=True)


def _place(part: Path, path: Path, *, overwrite: bool) -> None:
    if not overwrite:
        try:
            path.hardlink_to(part)
        except FileExistsError:
            raise
        except OSError:  # a file system without hard links
            if path.exists():
                raise
        else:
            return
    part.replace(path)


def _suffix(head: bytes) -> str:
    return next((suffix for signature, suffix in _SIGNATURES if signature.match(head)), ".bin")
