"""Bodies that nobody means well by: refused in words, and within the memory that a request may take."""

from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from limner.domain.limits import KIB, MAX_PROMPT_CHARS
from tests.pictures import png
from tests.service import Service
from tests.tenant import tenant_of

FORM = {"content-type": "multipart/form-data; boundary=b"}
JSON = {"content-type": "application/json"}


@pytest.fixture(scope="module")
def client(service: Service) -> Iterator[httpx.Client]:
    with tenant_of(service) as tenant:
        yield tenant.rest()


def part(name: str, content: bytes) -> bytes:
    return f'--b\r\ncontent-disposition: form-data; name="{name}"\r\n\r\n'.encode() + content + b"\r\n"


def form(*parts: bytes) -> bytes:
    return b"".join(parts) + b"--b--\r\n"


def refused(client: httpx.Client, call: str, body: bytes, headers: dict[str, str]) -> Any:
    response = client.post(f"/openai/images/{call}", content=body, headers=headers)
    assert response.status_code == 400, response.text
    return response.json()["error"]["message"]


def test_a_form_of_many_parts_is_refused(client: httpx.Client) -> None:
    body = form(*(part(f"field{number}", b"") for number in range(65)))
    assert refused(client, "edits", body, FORM) == "body: must have at most 64 parts"


def test_a_form_with_much_text_is_refused(client: httpx.Client) -> None:
    body = form(*(part(f"field{number}", b"x" * 120 * KIB) for number in range(9)))
    assert refused(client, "edits", body, FORM) == "body: must have at most 1,048,576 bytes beside its files"


def test_a_form_that_names_no_character_set_is_refused(client: httpx.Client) -> None:
    assert refused(client, "edits", form(part("_charset_", b"x" * 40)), FORM) == "body: is not a whole form"


@pytest.mark.parametrize(
    ("body", "problem"),
    [
        (b'{"prompt": "a fox", "prompt": "a dog"}', "prompt: is given twice"),
        (b'{"prompt": "a fox", "n": NaN}', "body: is not valid JSON"),
        (b'{"prompt": "\\ud800"}', "body: is not valid JSON"),
        (b'{"prompt": [' + b"[]," * 40_000 + b"[]]}", "body: has too many values"),
    ],
)
@pytest.mark.parametrize("call", ["generations", "edits"])
def test_json_that_says_nothing_clear_is_refused(client: httpx.Client, call: str, body: bytes, problem: str) -> None:
    assert refused(client, call, body, JSON) == problem


def test_a_prompt_of_escaped_commas_is_none_of_these(client: httpx.Client) -> None:
    prompt = ("\\ud83e\\udd8a," * (MAX_PROMPT_CHARS // 2)).encode()
    body = b'{"prompt": "' + prompt + b'"}'
    response = client.post("/openai/images/generations", content=body, headers=JSON)
    assert response.status_code == 200, response.text


def test_a_form_of_ten_pictures_is_read_to_its_end(client: httpx.Client) -> None:
    pictures = [part("image[]", png()) for _ in range(10)]
    texts = [part("prompt", b"a fox"), part("n", b"x")]
    assert refused(client, "edits", form(*pictures, *texts), FORM) == "n: must be an integer"
