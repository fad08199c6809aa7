"""Bodies of requests: JSON, and forms whose pictures go to the disk while they come."""

import asyncio
import hashlib
import json
import tempfile
from collections.abc import AsyncIterator, Collection
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any, Final

import pybase64
from aiohttp import BodyPartReader, web
from aiohttp.http_exceptions import HttpProcessingError

from limner.domain import limits
from limner.domain.errors import FieldViolation, InvalidFieldError
from limner.domain.limits import KIB, MIB
from limner.web.openai.errors import NO_PARAMETER, NOT_HERE
from limner.web.passage import too_large

MAX_JSON_BYTES: Final = MIB
MAX_EDIT_JSON_BYTES: Final = 4 * MIB
"""Pictures in JSON are read whole, in one go: larger ones come by a form."""

MAX_FORM_BYTES: Final = 128 * MIB
MAX_TEXT_BYTES: Final = 4 * limits.MAX_PROMPT_CHARS + KIB
_CHUNK_BYTES: Final = 256 * KIB
_MAX_FILES: Final = limits.MAX_INPUT_IMAGES + 1
_MAX_JSON_PARTS: Final = 64 * 1024
"""How many commas and brackets a body may have, within its texts too: a prompt of nothing else fits."""

_MAX_PARTS: Final = 64
"""Of one form: twice as many as there are fields and pictures."""

PICTURES, MASK, FILE = ("image", "image[]"), "mask", "file"
_ALL_FILES: Final = (*PICTURES, MASK, FILE)
"""What calls take as files. Where one is not taken that is said, and not that its bytes are no text."""


class ReceivedPicture:
    """A picture on the disk, without a name there: it goes when it is closed, or with the process."""

    def __init__(self, param: str, file: IO[bytes]) -> None:
        self.param = param
        self.size_bytes = 0
        self._file = file
        self._hash = hashlib.sha256()

    @property
    def sha256(self) -> str:
        """The digest of its bytes, in hexadecimal digits."""
        return self._hash.hexdigest()

    async def append(self, data: bytes) -> None:
        """Add bytes. Raises ``InvalidFieldError`` for more than an upload may have."""
        self.size_bytes += len(data)
        if self.size_bytes > limits.MAX_UPLOAD_BYTES:
            raise wrong(self.param, f"must have at most {limits.MAX_UPLOAD_BYTES:,} bytes")
        await asyncio.to_thread(self._append, data)

    async def read(self) -> bytes:
        """Return all of its bytes."""
        return await asyncio.to_thread(self._read)

    def close(self) -> None:
        """Forget the bytes."""
        self._file.close()

    def _append(self, data: bytes) -> None:
        self._hash.update(data)
        self._file.write(data)

    def _read(self) -> bytes:
        self._file.seek(0)
        return self._file.read()


@dataclass(slots=True)
class Body:
    """What a request holds: its fields, and the pictures of an edit, received ones or the ids of kept ones."""

    fields: dict[str, Any] = field(default_factory=dict)
    pictures: list[ReceivedPicture | str] = field(default_factory=list)
    mask: ReceivedPicture | str | None = None

    def close(self) -> None:
        """Forget the received pictures."""
        for each in (*self.pictures, self.mask):
            if isinstance(each, ReceivedPicture):
                each.close()


async def read_json(request: web.Request, max_bytes: int = MAX_JSON_BYTES) -> dict[str, Any]:
    """Return the object that the body holds."""
    received = bytearray()
    async for chunk in request.content.iter_any():
        received += chunk
        if len(received) > max_bytes:
            raise too_large(max_bytes)
    if sum(received.count(each) for each in b",[{") > _MAX_JSON_PARTS:
        raise wrong("body", "has too many values")
    try:
        document = json.loads(received.decode("utf-8-sig"), object_pairs_hook=_object, parse_constant=_no_number)
        if b"\\u" in received:  # half a character can be written so, and is no text
            json.dumps(document, ensure_ascii=False).encode()
    except (ValueError, RecursionError) as error:
        raise wrong("body", "is not valid JSON") from error
    if not isinstance(document, dict):
        raise wrong("body", "must be a JSON object")
    return document


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Return a JSON object, of which no field may be lost for having another's name. Raises ``InvalidFieldError``."""
    found = dict(pairs)
    if len(found) < len(pairs):
        names = [name for name, _ in pairs]
        raise wrong(next(name for name in found if names.count(name) > 1)[:100], "is given twice")
    return found


def _no_number(text: str) -> None:
    raise ValueError(f"{text} is no JSON")


@asynccontextmanager
async def edit_body(request: web.Request, scratch: Path) -> AsyncIterator[Body]:
    """Read an edit's body of either kind; received pictures lie in the folder until the end."""
    body = Body()
    try:
        if request.content_type == "multipart/form-data":
            await _read_form(request, scratch, body, (*PICTURES, MASK))
        elif request.content_type == "application/json":
            body.fields = await read_json(request, MAX_EDIT_JSON_BYTES)
            await _take_pictures(body, scratch)
        else:
            raise wrong("content-type", "must be multipart/form-data or application/json")
        yield body
    finally:
        body.close()


@asynccontextmanager
async def file_body(request: web.Request, scratch: Path) -> AsyncIterator[ReceivedPicture]:
    """Read a form whose one part is a file called ``file``, which lies in the folder until the end."""
    body = Body()
    try:
        if request.content_type != "multipart/form-data":
            raise wrong("content-type", "must be multipart/form-data")
        await _read_form(request, scratch, body, (FILE,))
        others = [wrong(name[:100], NO_PARAMETER) for name in body.fields]
        if others or len(body.pictures) != 1:
            raise others[0] if others else wrong(FILE, "must be one file")
        (picture,) = body.pictures
        assert isinstance(picture, ReceivedPicture)
        yield picture
    finally:
        body.close()


async def _read_form(request: web.Request, scratch: Path, body: Body, files: Collection[str]) -> None:
    """Read the parts in whatever order they come, with a length told ahead or not."""
    parts = text_bytes = 0
    try:
        async for part in await request.multipart():
            parts += 1
            if parts > _MAX_PARTS:
                raise wrong("body", f"must have at most {_MAX_PARTS} parts")
            if not isinstance(part, BodyPartReader) or not part.name:
                raise wrong("body", "must be a form of named parts")
            text_bytes += await _read_part(part, part.name, scratch, body, files)
            if text_bytes > MAX_JSON_BYTES:
                raise wrong("body", f"must have at most {MAX_JSON_BYTES:,} bytes beside its files")
            if request.content.total_bytes > MAX_FORM_BYTES:
                raise too_large(MAX_FORM_BYTES)
    except InvalidFieldError:
        await _drain(request)
        raise
    # A RuntimeError is what aiohttp raises of a field "_charset_" that names none.
    except (ValueError, AssertionError, RuntimeError, HttpProcessingError) as error:
        raise wrong("body", "is not a whole form") from error


async def _drain(request: web.Request) -> None:
    """Read what is left: a client that is still sending may not see an answer."""
    left = MAX_FORM_BYTES
    async for chunk in request.content.iter_any():
        left -= len(chunk)
        if left < 0:
            return


async def _read_part(part: BodyPartReader, name: str, scratch: Path, body: Body, files: Collection[str]) -> int:
    """Read one part; return how many bytes of it stay in memory."""
    if name in files:
        picture = _new_picture(name.removesuffix("[]"), scratch)
        _add(body, picture)
        while chunk := await part.read_chunk(_CHUNK_BYTES):
            await picture.append(bytes(chunk))
        return 0
    if name in NOT_HERE or name in _ALL_FILES:
        raise wrong(name, NOT_HERE.get(name, NO_PARAMETER))
    text = bytearray()
    while chunk := await part.read_chunk(_CHUNK_BYTES):
        text += chunk
        if len(text) > MAX_TEXT_BYTES:
            raise wrong(name[:100], "is too long")
    if name in body.fields:
        raise wrong(name[:100], "is given twice")
    try:
        body.fields[name] = text.decode()
    except UnicodeDecodeError as error:
        raise wrong(name[:100], "must be text in UTF-8") from error
    return len(name) + len(text)


async def _take_pictures(body: Body, scratch: Path) -> None:
    """Take the pictures out of the fields of a JSON body."""
    images, mask = body.fields.pop("images", None) or [], body.fields.pop("mask", None)
    if not isinstance(images, list):
        raise wrong("images", "must be a list")
    for number, each in enumerate(images):
        _add(body, await _referred(f"images[{number}]", "image", each, scratch))
    if mask is not None:
        body.mask = await _referred("mask", "mask", mask, scratch)


async def _referred(field_name: str, param: str, reference: Any, scratch: Path) -> ReceivedPicture | str:
    """Return the picture that is named by its id, or lies in a data URL."""
    if not isinstance(reference, dict) or len(reference) != 1:
        raise wrong(field_name, "must have either file_id, the id of an image, or image_url")
    (kind, value), *_ = reference.items()
    if kind == "file_id" and isinstance(value, str):
        return value
    if kind != "image_url" or not isinstance(value, str):
        raise wrong(f"{field_name}.{kind[:100]}", NO_PARAMETER)
    head, comma, text = value.partition(",")
    if not (comma and head.startswith("data:") and head.endswith(";base64")):
        raise wrong(f"{field_name}.image_url", "must be a data URL in base64: no other addresses are fetched")
    picture = _new_picture(param, scratch)
    try:
        await picture.append(await asyncio.to_thread(pybase64.b64decode, text, validate=True))
    except ValueError as error:
        picture.close()
        raise wrong(f"{field_name}.image_url", "is not base64") from error
    return picture


def _add(body: Body, picture: ReceivedPicture | str) -> None:
    if isinstance(picture, ReceivedPicture) and picture.param == MASK:
        if body.mask is not None:
            raise wrong(MASK, "is given twice")
        body.mask = picture
    else:
        body.pictures.append(picture)
    if len(body.pictures) >= _MAX_FILES:
        raise wrong("image", f"must have 1 to {limits.MAX_INPUT_IMAGES} pictures")


def _new_picture(param: str, scratch: Path) -> ReceivedPicture:
    return ReceivedPicture(param, tempfile.TemporaryFile(dir=scratch))


def wrong(field_name: str, problem: str) -> InvalidFieldError:
    """Return the refusal of one field."""
    return InvalidFieldError([FieldViolation(field_name, problem)])
