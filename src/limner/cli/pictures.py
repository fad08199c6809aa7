"""Pictures on this machine: where results are written to, and files that stand in for images."""

import os
import sys
from collections.abc import Callable, Iterable, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import click

from limner.cli.session import CallFailedError
from limner.cli.text import one_line
from limner.client import Client

MAX_UPLOAD_BYTES: Final = 20 * 1024 * 1024
"""What the service takes; a larger file is not even read."""

_STDOUT: Final = "-"
_FORMATS: Final = {".png": "png", ".jpg": "jpeg", ".jpeg": "jpeg", ".webp": "webp"}


@dataclass(frozen=True, slots=True)
class Destination:
    """Where pictures go: nowhere, standard output, a directory or one file."""

    name: str
    force: bool

    @property
    def given(self) -> bool:
        """Whether pictures are to be written at all."""
        return bool(self.name)

    @property
    def output_format(self) -> str | None:
        """The format that the file's name asks for, if any."""
        return _FORMATS.get(Path(self.name).suffix.lower())

    def check(self, count: int, *, as_json: bool) -> None:
        """Raise ``UsageError`` for what could not be written, before anything is asked for and paid."""
        if not self.name:
            return
        if self.name != _STDOUT and not self._is_directory and self._path.suffix and self.output_format is None:
            known = ", ".join(_FORMATS)
            raise click.UsageError(f"{self._path.suffix} is no ending of a picture that is made here: {known}")
        if self.name == _STDOUT:
            _check_stdout(count, as_json=as_json)
        elif self._is_directory:
            _make_directory(self._path)
        elif count > 1:
            raise click.UsageError(f"{count} pictures need a directory: -o {self.name}/")
        elif not self._path.parent.is_dir():
            raise click.UsageError(f"There is no directory {self._path.parent}.")
        elif self._path.exists() and not self.force:
            raise click.UsageError(_exists(self._path))

    def write(self, client: Client, image_ids: Iterable[str]) -> list[Path]:
        """Write the pictures, and return the paths of those that are files."""
        if self.name == _STDOUT:
            for image_id in image_ids:
                _to_stdout(client, image_id)
            return []
        return [self._download(client, image_id) for image_id in image_ids]

    def _download(self, client: Client, image_id: str) -> Path:
        try:
            return client.download(image_id, self._path, overwrite=self.force)
        except FileExistsError as error:
            raise click.UsageError(_exists(Path(error.filename))) from error
        except ValueError as error:
            raise CallFailedError(one_line(str(error))) from error
        except OSError as error:
            text = f"{self.name} can't be written: {error.strerror}. The picture is kept as {image_id}."
            raise CallFailedError(one_line(text)) from error

    @property
    def _is_directory(self) -> bool:
        return self.name.endswith("/") or self._path.is_dir()

    @property
    def _path(self) -> Path:
        return Path(self.name)


def with_destination(function: Callable[..., None]) -> Any:
    """Give a command ``-o`` and ``--force``, as its argument ``destination``."""

    def collect(context: click.Context, _: click.Parameter, force: bool) -> Destination:
        return Destination(context.params.pop("output", None) or "", force)

    function = click.option(
        "-o",
        "--output",
        is_eager=True,
        metavar="FILE|DIR/|-",
        help="Write pictures to a file, to a directory by their ids, or to standard output.",
    )(function)
    return click.option("--force", "destination", is_flag=True, callback=collect, help="Overwrite files that exist.")(
        function
    )


def files_among(images: Sequence[str]) -> list[str]:
    """Return those images that are files on this machine, all of which can be uploaded.

    Raises ``UsageError`` when an image is neither a file nor an id, or when a file can't be read or is too large.
    """
    files = [image for image in images if _is_file(image)]
    for name in files:
        check_picture(name)
    return files


def uploaded(client: Client, images: Sequence[str]) -> list[str]:
    """Return the ids of images, after uploading those that are files on this machine."""
    files = set(files_among(images))
    return [client.upload(read_picture(image)).id if image in files else image for image in images]


def check_picture(name: str) -> None:
    """Raise ``UsageError`` when a file can't be uploaded, as far as it is known without reading it."""
    try:
        with Path(name).open("rb") as file:
            if os.fstat(file.fileno()).st_size > MAX_UPLOAD_BYTES:
                raise click.UsageError(f"{name} is larger than 20 MiB.")
    except OSError as error:
        raise click.UsageError(f"{name} can't be read: {error.strerror}.") from error


def read_picture(name: str) -> bytes:
    """Return the bytes of a file, or raise ``UsageError`` when it can't be uploaded."""
    check_picture(name)
    try:
        return Path(name).read_bytes()
    except OSError as error:
        raise click.UsageError(f"{name} can't be read: {error.strerror}.") from error


def _is_file(image: str) -> bool:
    with suppress(OSError):  # such as a name that is too long for one
        if Path(image).is_file():
            return True
    if not image.isalnum():
        raise click.UsageError(f"{one_line(image)} is neither a file nor the id of an image.")
    return False


def _make_directory(path: Path) -> None:
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise click.UsageError(f"There can't be a directory {path}: {error.strerror}.") from error


def _check_stdout(count: int, *, as_json: bool) -> None:
    if count > 1 or as_json:
        raise click.UsageError("Standard output takes one picture and nothing else.")
    if sys.stdout.isatty():
        raise click.UsageError("A picture would upset the terminal: redirect standard output.")


def _to_stdout(client: Client, image_id: str) -> None:
    with closing(client.stream_content(image_id)) as parts:
        sys.stdout.buffer.writelines(parts)
    sys.stdout.buffer.flush()


def _exists(path: Path) -> str:
    return f"{path} exists already; --force overwrites it."
