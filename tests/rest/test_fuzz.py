"""Whatever bodies, queries, paths and methods: an answer in JSON, and never one by a fault of the service's own."""

import json
import re
import string
from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import quote

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.fuzzing import fuzzing
from tests.pictures import png
from tests.rest.errors import error_of
from tests.rest.seed import EDIT, GENERATE, UPSCALE
from tests.rest.test_service_calls import url_templates
from tests.rest.test_service_seed import uploaded
from tests.service import Service
from tests.tenant import Tenant, tenant_of

CALL_LIMIT_S = 20.0
METHODS = ["GET", "POST", "DELETE", "PUT", "PATCH", "HEAD", "OPTIONS", "TRACE", "BREW"]
ODD_PARTS = [
    "",
    ".",
    "..",
    "%",
    "%zz",
    "%FF",
    "%00",
    "%2F",
    "%252e%252e",
    "%ED%A0%80",
    ":cancel",
    "a:b",
    "*",
    "{id}",
    "%F0%9F",
]
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)
CHEAP_COUNTS = st.integers().filter(lambda number: not 3 <= number <= 10)
VALUES: dict[str, st.SearchStrategy[Any]] = {
    "prompt": st.text(max_size=60) | st.just("a fox") | JSON,
    "numImages": st.sampled_from([1, 2, "1", 1.0]) | CHEAP_COUNTS | st.text(string.ascii_letters, max_size=5),
    "aspectRatio": st.sampled_from(["1:1", "auto", None]) | st.text(max_size=8) | JSON,
    "outputFormat": st.sampled_from(["png", "webp", None]) | st.text(max_size=8),
    "modelId": st.sampled_from(["sketch", "realesr-animevideo"]) | st.text(max_size=8),
    "seed": st.integers() | st.floats() | st.text(max_size=4),
    "upscaleFactor": st.sampled_from([2, 3, 4, 5]) | st.integers() | JSON,
    "unknown": JSON,
}


TEMPLATES = url_templates()


class Fuzz:
    """An admin, who gets past every membership, and an image to ask about."""

    def __init__(self, tenant: Tenant) -> None:
        self.tenant = tenant
        self.client = tenant.rest("root", admin=True)
        self.client.timeout = httpx.Timeout(CALL_LIMIT_S)
        self.image_id = uploaded(self.client, png())["id"]
        self.origin = tenant.url("")
        self.seen: set[int] = set()

    def ask(self, method: str, path: str, **options: Any) -> httpx.Response:
        """Make a request with the path exactly as it stands, and look at the answer."""
        url = httpx.URL(self.origin).copy_with(raw_path=path.encode())
        response = self.client.send(self.client.build_request(method, url, **options))
        assert response.status_code < 500 or response.status_code == 501, (method, path, response.text)
        if response.status_code >= 400 and method != "HEAD":
            error_of(response)
        self.seen.add(response.status_code)
        return response

    def filled(self, template: str, parts: Iterator[str]) -> str:
        known = {"workspace_id": self.tenant.id, "image_id": self.image_id, "generation_id": "0" * 32}
        return re.sub(r"{(\w+)}", lambda match: next(parts) or known[match[1]], template)


@pytest.fixture(scope="module")
def fuzz(service: Service) -> Iterator[Fuzz]:
    with tenant_of(service) as tenant:
        yield Fuzz(tenant)


def drawn(examples: int, *strategies: st.SearchStrategy[Any]) -> Callable[[Callable[..., None]], None]:
    """Run a function on some examples."""

    def run(function: Callable[..., None]) -> None:
        fuzzing(examples)(given(*strategies)(function))()

    return run


def bodies(fuzz: Fuzz) -> st.SearchStrategy[Any]:
    ids = st.sampled_from([fuzz.image_id, "0" * 32, "x"]) | st.text(max_size=10)
    fields = {**VALUES, "imageId": ids | JSON, "imageIds": st.lists(ids, max_size=5) | JSON}
    one = st.fixed_dictionaries({}, optional=fields)
    return one | JSON | st.fixed_dictionaries({}, optional={"generate": one, "edit": one | JSON, "upscale": one})


@pytest.mark.parametrize("path", [GENERATE, EDIT, UPSCALE, "/image-tasks:stream"])
def test_no_json_body_makes_the_service_fail(fuzz: Fuzz, path: str) -> None:
    @drawn(100, bodies(fuzz))
    def _(body: Any) -> None:
        fuzz.ask("POST", f"/v1/workspaces/{fuzz.tenant.id}{path}", content=json.dumps(body))


@pytest.mark.parametrize("path", [GENERATE, "/image-tasks:stream", "/images", "/generations/x:cancel"])
def test_no_bytes_as_a_body_make_the_service_fail(fuzz: Fuzz, path: str) -> None:
    starts = st.sampled_from(
        [b"", b"{", b'{"prompt":"', b"[[", b'{"a":{', b"\xef\xbb\xbf{}", png()[:40], b"\xff\xd8\xff"]
    )

    @drawn(
        150,
        starts,
        st.binary(max_size=200),
        st.sampled_from(["application/json", "image/png", "text/plain", "", "\xff"]),
    )
    def _(start: bytes, rest: bytes, content_type: str) -> None:
        headers = {"content-type": content_type.encode("latin-1")}
        fuzz.ask("POST", f"/v1/workspaces/{fuzz.tenant.id}{path}", content=start + rest, headers=headers)


def test_no_path_makes_the_service_fail(fuzz: Fuzz) -> None:
    odd = (
        st.sampled_from(ODD_PARTS) | st.text(max_size=12).map(lambda text: quote(text, safe="")) | st.just("x" * 3_000)
    )
    parts = st.lists(st.just("") | odd, min_size=3, max_size=3)

    @drawn(600, st.sampled_from(TEMPLATES), parts)
    def _(template: tuple[str, str], chosen: list[str]) -> None:
        method, path = template
        fuzz.ask(method, fuzz.filled(path, iter(chosen)))


def test_no_query_makes_the_service_fail(fuzz: Fuzz) -> None:
    names = st.sampled_from(
        ["pageSize", "pageToken", "generationId", "createdByUserId", "page_size", "workspaceId", "x"]
    )
    odd = st.sampled_from([*ODD_PARTS, "1e9", "-0", "%20", "+", "\\"])
    values = odd | st.text(max_size=20).map(quote) | st.integers().map(str)
    query = st.lists(st.tuples(names | odd, values).map("=".join), max_size=4).map("&".join)
    readable = [path for method, path in TEMPLATES if method == "GET"]

    @drawn(300, st.sampled_from(readable), query)
    def _(path: str, text: str) -> None:
        fuzz.ask("GET", fuzz.filled(path, iter([""] * 3)) + f"?{text}")


def test_no_method_makes_the_service_fail(fuzz: Fuzz) -> None:
    paths = st.sampled_from(
        ["/", "//", "/v1", "/v1/", "/imageservice.v1.ImageService/GetImage", *(path for _, path in TEMPLATES)]
    )

    @drawn(150, st.sampled_from(METHODS), paths)
    def _(method: str, path: str) -> None:
        fuzz.ask(method, fuzz.filled(path, iter([""] * 3)))


def test_the_service_is_none_the_worse_for_it(fuzz: Fuzz) -> None:
    assert fuzz.seen >= {200, 400, 404}
    answer = fuzz.ask("POST", f"/v1/workspaces/{fuzz.tenant.id}{GENERATE}", json={"prompt": "a fox"})

    assert len(answer.json()["images"]) == 1
