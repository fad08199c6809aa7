"""Whatever bodies the doors get: an answer in JSON, and never one by a fault of the service's own.

The same examples are drawn in every run.
"""

import json
import string
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from hypothesis import strategies as st

from tests.pictures import png
from tests.rest.test_fuzz import JSON, drawn
from tests.rest.test_service_seed import uploaded
from tests.service import Service
from tests.tenant import Tenant, tenant_of

FIELDS: dict[str, st.SearchStrategy[Any]] = {
    "prompt": st.just("a fox") | st.text(max_size=30) | JSON,
    "model": st.sampled_from(["sketch", "realesr-animevideo", None]) | st.text(max_size=8) | JSON,
    "n": st.sampled_from([1, "1", 1.0, True]) | st.integers(11) | st.integers(max_value=0) | JSON,
    "size": st.sampled_from(["auto", "1024x1024", "1x1", "0x0", "99999x99999"]) | st.text(max_size=9) | JSON,
    "aspect_ratio": st.sampled_from(["1:1", "auto"]) | JSON,
    "quality": st.sampled_from(["auto", "high"]) | JSON,
    "background": st.sampled_from(["auto", "transparent"]) | JSON,
    "output_format": st.sampled_from(["png", "webp", "gif"]) | JSON,
    "output_compression": st.integers() | JSON,
    "response_format": st.sampled_from(["b64_json", "url"]) | JSON,
    "stream": st.booleans() | st.sampled_from(["true", "false"]) | JSON,
    "partial_images": st.integers(-1, 4) | JSON,
    "seed": st.integers() | JSON,
    "user": st.text(max_size=9) | JSON,
    "svg[model]": JSON,
    "mask": JSON,
}


class Doors:
    """An admin, and an image to ask about."""

    def __init__(self, tenant: Tenant) -> None:
        self.client = tenant.rest("root", admin=True)
        self.image_id = uploaded(self.client, png())["id"]
        self.seen: set[int] = set()

    def ask(self, path: str, **options: Any) -> httpx.Response:
        response = self.client.post(path, timeout=20, **options)
        assert response.status_code < 500, (options, response.text)
        kind = response.headers.get("content-type", "")
        if response.status_code >= 400:
            assert kind == "application/json", (options, response.text)
            assert response.json()
        elif kind == "text/event-stream":
            assert response.text.replace("\r\n", "\n").endswith("\n\n")
        self.seen.add(response.status_code)
        return response


@pytest.fixture(scope="module")
def doors(service: Service) -> Iterator[Doors]:
    with tenant_of(service) as tenant:
        yield Doors(tenant)


def test_no_json_makes_openais_door_fail(doors: Doors) -> None:
    pictures = st.fixed_dictionaries({"file_id": st.just(doors.image_id) | st.text(max_size=9)})
    data = st.fixed_dictionaries({"image_url": st.sampled_from(["data:image/png;base64,AAAA", "data:,", "http://x/"])})
    fields = FIELDS | {"images": st.lists(pictures | data | JSON, max_size=3) | JSON}
    bodies = st.fixed_dictionaries({}, optional=fields) | JSON

    @drawn(150, st.sampled_from(["generations", "edits"]), bodies)
    def _(call: str, body: Any) -> None:
        doors.ask(f"/openai/images/{call}", content=json.dumps(body), headers={"content-type": "application/json"})


def test_no_form_makes_openais_door_fail(doors: Doors) -> None:
    names = st.sampled_from([*FIELDS, "image", "image[]"]) | st.text(string.ascii_letters + '"[]\r\n', max_size=8)
    values = st.sampled_from([b"a fox", b"1", b"true", png()]) | st.binary(max_size=40)
    parts = st.lists(st.tuples(names, st.booleans(), values), max_size=6)

    @drawn(150, parts, st.booleans(), st.integers(0, 400))
    def _(parts: list[tuple[str, bool, bytes]], whole: bool, cut: int) -> None:
        lines = []
        for name, is_file, value in parts:
            file_name = '; filename="x.png"' if is_file else ""
            lines.append(f'--b\r\ncontent-disposition: form-data; name="{name}"{file_name}\r\n\r\n'.encode() + value)
        body = b"\r\n".join([*lines, b"--b--\r\n"])
        headers = {"content-type": "multipart/form-data; boundary=b"}
        doors.ask("/openai/images/edits", content=body if whole else body[:cut], headers=headers)


def test_no_json_makes_the_agents_door_fail(doors: Doors) -> None:
    arguments = st.fixed_dictionaries({}, optional=FIELDS | {"image_id": JSON, "image_ids": JSON, "factor": JSON})
    call = st.fixed_dictionaries(
        {"name": st.sampled_from(["generate_image", "edit_image", "get_image", "list_images", "x"]) | JSON},
        optional={"arguments": arguments | JSON},
    )
    bodies = JSON | st.fixed_dictionaries(
        {
            "jsonrpc": st.just("2.0"),
            "id": st.integers() | st.text(max_size=5),
            "method": st.sampled_from(["tools/call", "tools/list", "initialize", "ping"]) | st.text(max_size=9),
        },
        optional={"params": call | JSON},
    )
    accept = st.sampled_from(["application/json, text/event-stream", "*/*", "text/plain"])

    @drawn(100, bodies, accept, st.sampled_from(["", "2025-06-18", "2026-07-28", "x"]))
    def _(body: Any, accepted: str, version: str) -> None:
        headers = {"content-type": "application/json", "accept": accepted, "mcp-protocol-version": version}
        doors.ask("/mcp", content=json.dumps(body), headers={name: each for name, each in headers.items() if each})


def test_the_doors_are_none_the_worse_for_it(doors: Doors) -> None:
    assert doors.seen >= {200, 400}
    assert len(doors.ask("/openai/images/generations", json={"prompt": "a fox"}).json()["data"]) == 1
