"""JSON with pictures in it, cut anywhere."""

import base64
import json
import os

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from limner.domain.limits import KIB, MAX_STORED_BYTES, MIB
from limner.outbound.answer import picture_bytes
from limner.outbound.base64_text import Base64Decoder
from limner.outbound.errors import AnswerTooLargeError, UnreadableAnswerError
from limner.outbound.streamed_json import LONG_STRING_BYTES, MAX_DOCUMENT_BYTES, JsonLifter, parsed
from tests.unit.outbound.servers import cut

PICTURE = os.urandom(40 * KIB + 1)
TEXT = base64.b64encode(PICTURE).decode()


def lifted(document: bytes, piece_bytes: int = 64 * KIB) -> tuple[object, int]:
    """Return the value of a document that comes in pieces, and how many strings were lifted."""
    lifter = JsonLifter()
    for piece in cut(document, piece_bytes):
        lifter.feed(piece)
    rest, pictures = lifter.finish()
    return parsed(rest, pictures), len(pictures)


ANY_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text() | st.floats(allow_nan=False),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner, max_size=4),
    max_leaves=20,
)


@given(value=ANY_JSON, piece=st.integers(1, 50), ascii_only=st.booleans())
def test_ordinary_json_comes_through_however_it_is_cut(value: object, piece: int, ascii_only: bool) -> None:
    document = json.dumps([value], ensure_ascii=ascii_only).encode("utf-8", "surrogatepass")
    try:
        plain = json.loads(document)
    except ValueError:
        return
    assert lifted(document, piece) == (plain, 0)


@settings(max_examples=30, deadline=None)
@given(piece=st.integers(1, 70_000), escape=st.sampled_from(["", "/", "=", "+", "\n"]), uri=st.booleans())
def test_a_long_picture_is_lifted_however_it_is_cut_and_escaped(piece: int, escape: str, uri: bool) -> None:
    text = "data:image/png;base64," * uri + TEXT
    escaped = {
        "": text,
        "/": text.replace("/", "\\/"),
        "\n": "\\n".join(text[i : i + 76] for i in range(0, len(text), 76)),
    }
    inside = escaped.get(escape, text.replace(escape, f"\\u{ord(escape or ' '):04x}"))
    if escape == "\n" and uri:
        inside = text
    document = f'{{"prompt":"say \\"{{}}\\"", "image":"{inside}","n":[1]}}'.encode()
    value, count = lifted(document, max(piece, 200))
    assert value == {"prompt": 'say "{}"', "image": PICTURE, "n": [1]}
    assert count == 1


@pytest.mark.parametrize("size", [LONG_STRING_BYTES // 4 * 3 - 3, LONG_STRING_BYTES // 4 * 3, 3 * MIB, 3 * MIB + 2])
def test_pictures_of_all_lengths_read_alike(size: int) -> None:
    picture = os.urandom(size)
    value, _ = lifted(json.dumps({"a": base64.b64encode(picture).decode()}).encode())
    assert isinstance(value, dict)
    assert picture_bytes(value["a"]) == picture


def test_base64_for_addresses_and_without_padding_is_read() -> None:
    text = base64.urlsafe_b64encode(PICTURE).decode().rstrip("=")
    assert lifted(json.dumps([text]).encode()) == ([PICTURE], 1)


def test_a_long_prompt_stays_text() -> None:
    prompt = "a heron in the reeds. " * 2000
    assert lifted(json.dumps([prompt]).encode()) == ([prompt], 0)


@pytest.mark.parametrize("spoil", ["mid!dle", "mid=dle", "é", "\\u00e9"])
def test_a_picture_that_turns_out_wrong_is_empty_and_spoils_no_other(spoil: str) -> None:
    wrong = TEXT[:40_000] + spoil + TEXT[40_000:]
    value, _ = lifted(f'["{wrong}","{TEXT}"]'.encode(), 8 * KIB)
    assert value == [b"", PICTURE]


def test_a_placeholder_can_not_be_forged() -> None:
    lifter = JsonLifter()
    lifter.feed(json.dumps({"0": "x-0", "a": TEXT, "b": "-0"}).encode())
    value = parsed(*lifter.finish())
    assert value == {"0": "x-0", "a": PICTURE, "b": "-0"}


def test_what_is_cut_off_is_unreadable() -> None:
    with pytest.raises(UnreadableAnswerError):
        lifted(f'{{"a":"{TEXT}'.encode())


def test_deep_nesting_is_unreadable() -> None:
    with pytest.raises(UnreadableAnswerError):
        lifted(b"[" * 200_000)


def test_a_document_that_is_large_without_its_pictures_is_refused() -> None:
    with pytest.raises(AnswerTooLargeError):
        lifted(json.dumps(["words "] * MAX_DOCUMENT_BYTES).encode())


def test_a_picture_larger_than_may_be_stored_is_dropped() -> None:
    decoder = Base64Decoder()
    with pytest.raises(AnswerTooLargeError):
        for _ in range(MAX_STORED_BYTES // (48 * KIB) + 2):
            decoder.feed(b"A" * (64 * KIB))


@pytest.mark.parametrize("value", [None, 7, {}, "", b"", "not base64!", "====", "A", "data:image/png,plain"])
def test_what_is_no_picture_is_said_to_be_none(value: object) -> None:
    with pytest.raises(UnreadableAnswerError):
        picture_bytes(value)


def test_a_picture_field_has_a_limit() -> None:
    assert picture_bytes(TEXT, len(PICTURE)) == PICTURE
    for value in (TEXT, PICTURE):
        with pytest.raises(AnswerTooLargeError):
            picture_bytes(value, len(PICTURE) - 1)
