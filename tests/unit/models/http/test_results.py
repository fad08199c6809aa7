"""The guarded fetch, from real servers that mean no good."""

import asyncio
import base64
import os
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from pathlib import Path

import pytest
from aiohttp import web

from limner.domain.limits import KIB, MIB
from limner.models.http.api import ProviderApi
from limner.models.http.results import ResultAddresses, ResultError, ResultFetcher
from limner.outbound.body import json_body
from limner.outbound.client import HttpClient, Timeouts
from limner.outbound.errors import ForbiddenAddressError
from limner.outbound.resolver import PublicResolver
from tests.fakes.recorder import Recorder
from tests.unit.outbound.servers import answering, asking, certificate, head, serving

PICTURE = b"\x89PNG" + os.urandom(300 * KIB)  # never by chance what begins like JSON
KEY = "sk-very-secret"
OUTSIDE, INSIDE = "127.0.0.2", "127.0.0.1"
"""Loopback addresses that stand for the internet, and for the inner network."""


class Internet:
    """A CDN outside, a server inside at the same port, and names that lead to either."""

    def __init__(self, client: HttpClient, port: int) -> None:
        self.client = client
        self.port = port
        self.answers: dict[str, list[list[str]]] = {}
        self.lookups: Counter[str] = Counter()
        self.inside: list[str] = []
        self.waits: list[float] = []
        self.recorder = Recorder(KEY)

    async def lookup(self, host: str, port: int) -> list[str]:
        self.lookups[host] += 1
        planned = self.answers.get(host, [[OUTSIDE]])
        return planned.pop(0) if len(planned) > 1 else planned[0]

    def fetcher(self, *hosts: str, base_url: str = "https://api.test/v1") -> ResultFetcher:
        patterns = [f"{host}:{self.port}" for host in hosts or ("cdn.test", "*.media.test")]
        addresses = ResultAddresses(base_url=base_url, hosts=patterns)
        return ResultFetcher(self.client, addresses, Timeouts(connect_s=1, first_byte_s=1, total_s=2), sleep=self.sleep)

    async def sleep(self, delay_s: float) -> None:
        self.waits.append(delay_s)

    def url(self, path: str, host: str = "cdn.test") -> str:
        return f"https://{host}:{self.port}{path}"


@pytest.fixture
async def internet(tmp_path: Path) -> AsyncIterator[Internet]:
    server_tls, client_tls = certificate(tmp_path, "cdn.test", "v3.media.test", "inner.test")
    internet: Internet

    async def lookup(host: str, port: int) -> list[str]:
        return await internet.lookup(host, port)

    async def keep(request: web.Request) -> web.Response:
        internet.inside.append(request.path)
        return web.Response(body=b"secret")

    inner = web.Application()
    inner.router.add_get("/{path:.*}", keep)
    async with AsyncExitStack() as stack:
        client = HttpClient(tls=client_tls, resolver=PublicResolver(lookup, allowed=lambda each: each == OUTSIDE))
        stack.push_async_callback(client.close)
        internet = Internet(client, 0)
        port = await stack.enter_async_context(serving(cdn(internet), tls=server_tls, host=OUTSIDE))
        internet.port = port
        await stack.enter_async_context(serving(inner, tls=server_tls, host=INSIDE, port=port))
        yield internet


def cdn(internet: Internet) -> web.Application:
    visits: Counter[str] = Counter()

    async def picture(_: web.Request) -> web.Response:
        return web.Response(body=PICTURE, content_type="text/html")

    async def redirect(request: web.Request) -> web.Response:
        return web.Response(status=int(request.query.get("status", "302")), headers={"Location": request.query["to"]})

    async def hops(request: web.Request) -> web.Response:
        left = int(request.match_info["left"])
        return web.Response(status=307, headers={"Location": f"/hops/{left - 1}" if left > 1 else "/picture"})

    async def status(request: web.Request) -> web.Response:
        """Answer with each status in turn, then with the picture."""
        visits[request.path] += 1
        planned = request.match_info["status"].split(",")
        at = visits[request.path] - 1
        return web.Response(status=int(planned[at])) if at < len(planned) else await picture(request)

    async def dropping(request: web.Request) -> web.StreamResponse:
        visits[request.path] += 1
        if visits[request.path] > 1:
            return await picture(request)
        response = web.StreamResponse(headers={"Content-Length": "1000"})
        await response.prepare(request)
        await response.write(b"half")
        assert request.transport is not None
        request.transport.abort()
        return response

    async def endless(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        for _ in range(256):
            await response.write(bytes(64 * KIB))
        return response

    async def empty(_: web.Request) -> web.Response:
        return web.Response(body=b"")

    app = web.Application(middlewares=[internet.recorder.middleware("cdn", may_have_secret=False)])
    app.router.add_get("/picture", picture)
    app.router.add_get("/redirect", redirect)
    app.router.add_get("/hops/{left}", hops)
    app.router.add_get("/status/{status}", status)
    app.router.add_get("/dropping", dropping)
    app.router.add_get("/endless", endless)
    app.router.add_get("/empty", empty)
    return app


async def test_a_picture_comes_from_a_listed_host_whatever_it_calls_itself(internet: Internet) -> None:
    assert await internet.fetcher().fetch(internet.url("/picture")) == PICTURE
    assert await internet.fetcher().fetch(internet.url("/picture", "v3.media.test")) == PICTURE


async def test_the_name_is_looked_up_once_and_what_was_checked_is_connected_to(internet: Internet) -> None:
    """A name that is rebound after the check leads nowhere else."""
    internet.answers["cdn.test"] = [[OUTSIDE], [INSIDE]]
    assert await internet.fetcher().fetch(internet.url("/picture")) == PICTURE
    assert internet.lookups["cdn.test"] == 1
    assert internet.inside == []


async def test_a_name_that_was_rebound_is_refused_at_the_next_connection(internet: Internet) -> None:
    internet.answers["cdn.test"] = [[OUTSIDE], [INSIDE]]
    await internet.fetcher().fetch(internet.url("/dropping").replace("/dropping", "/picture"))
    with pytest.raises(ResultError):
        await asyncio.gather(*(internet.fetcher().fetch(internet.url("/picture")) for _ in range(2)))
    assert internet.inside == []


@pytest.mark.parametrize("found", [[INSIDE], [OUTSIDE, INSIDE], ["::1"], ["::ffff:127.0.0.2"], ["169.254.169.254"], []])
async def test_a_listed_name_that_leads_inside_is_refused_without_another_try(
    internet: Internet, found: list[str]
) -> None:
    internet.answers["inner.test"] = [found]
    with pytest.raises(ResultError):
        await internet.fetcher("inner.test").fetch(internet.url("/picture", "inner.test"))
    assert internet.inside == []
    if found:
        assert internet.lookups["inner.test"] == 1


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_a_redirect_to_a_listed_host_is_followed(internet: Internet, status: int) -> None:
    to = internet.url("/picture", "v3.media.test")
    assert await internet.fetcher().fetch(internet.url(f"/redirect?status={status}&to={to}")) == PICTURE


async def test_three_redirects_are_followed_and_a_fourth_is_not(internet: Internet) -> None:
    assert await internet.fetcher().fetch(internet.url("/hops/3")) == PICTURE
    with pytest.raises(ResultError):
        await internet.fetcher().fetch(internet.url("/hops/4"))


async def test_a_redirect_loop_ends(internet: Internet) -> None:
    before = len(internet.recorder.arrivals)
    with pytest.raises(ResultError):
        await internet.fetcher().fetch(internet.url("/redirect?to=/redirect%3Fto=/redirect%253Fto=%252Fhops%252F3"))
    assert len(internet.recorder.arrivals) - before == 4


@pytest.mark.parametrize(
    "to",
    [
        "http://cdn.test/",
        "https://elsewhere.test/",
        "https://127.0.0.1/",
        "https://[::1]/",
        "http://169.254.169.254/",
        "",
        "file:///etc/passwd",
        "//inner.test/",
    ],
)
async def test_a_redirect_to_anywhere_else_is_refused(internet: Internet, to: str) -> None:
    with pytest.raises(ResultError):
        await internet.fetcher().fetch(internet.url(f"/redirect?to={to}"))
    assert internet.inside == []
    assert len(internet.recorder.arrivals) == 1


async def test_a_redirect_to_a_listed_name_that_leads_inside_is_refused(internet: Internet) -> None:
    internet.answers["inner.test"] = [[INSIDE]]
    with pytest.raises(ResultError):
        to = internet.url("/picture", "inner.test")
        await internet.fetcher("cdn.test", "inner.test").fetch(internet.url(f"/redirect?to={to}"))
    assert internet.inside == []


async def test_the_limit_holds_while_reading(internet: Internet) -> None:
    assert await internet.fetcher().fetch(internet.url("/picture"), max_bytes=len(PICTURE)) == PICTURE
    for path in ("/picture", "/endless"):
        with pytest.raises(ResultError):
            await internet.fetcher().fetch(internet.url(path), max_bytes=len(PICTURE) - 1)
    assert internet.waits == []


async def test_a_paid_picture_is_asked_for_again_when_that_may_help(internet: Internet) -> None:
    for path in ("/dropping", "/status/503", "/status/404,500"):
        assert await internet.fetcher().fetch(internet.url(path)) == PICTURE
    assert internet.waits == [0.25, 0.25, 0.25, 1.0]


@pytest.mark.parametrize(
    ("path", "tries"), [("/status/403,403", 1), ("/status/410,410", 1), ("/empty", 1), ("/status/404,404,404", 3)]
)
async def test_a_picture_that_is_gone_is_given_up(internet: Internet, path: str, tries: int) -> None:
    with pytest.raises(ResultError):
        await internet.fetcher().fetch(internet.url(path))
    assert len(internet.recorder.arrivals) == tries


async def test_a_host_that_is_not_listed_is_not_even_looked_up(internet: Internet) -> None:
    with pytest.raises(ResultError):
        await internet.fetcher().fetch("https://elsewhere.test/a.png")
    assert not internet.lookups


# What the operator wrote, and what needs no fetching.


@pytest.fixture
async def client() -> AsyncIterator[HttpClient]:
    client = HttpClient()
    yield client
    await client.close()


async def test_the_operators_own_loopback_server_may_give_results(client: HttpClient) -> None:
    async with answering(head(Content_Length=3), b"png") as server:
        for address in (f"{server.url}/x.png", "/x.png"):
            fetcher = ResultFetcher(client, ResultAddresses(base_url=f"{server.url}/v1"))
            assert await fetcher.fetch(address) == b"png"


async def test_other_ports_of_loopback_may_not(client: HttpClient) -> None:
    async with answering(head(Content_Length=3), b"png") as server:
        fetcher = ResultFetcher(client, ResultAddresses(base_url="http://127.0.0.1:1/v1"))
        with pytest.raises(ResultError):
            await fetcher.fetch(f"{server.url}/x.png")
        assert server.connections == 0


async def test_public_connections_refuse_this_machine(client: HttpClient) -> None:
    with pytest.raises(ForbiddenAddressError):
        await client.send(asking("GET", "http://localhost:1/", public=True))


@pytest.mark.parametrize("size", [10, 2 * MIB])
async def test_data_uris_are_decoded_within_the_limit(client: HttpClient, size: int) -> None:
    picture = b"\x89" + os.urandom(size - 1)
    uri = "data:image/png;base64," + base64.b64encode(picture).decode()
    fetcher = ResultFetcher(client, ResultAddresses(base_url="https://api.test"))
    assert await fetcher.fetch(uri) == picture
    assert await fetcher.fetch(picture) == picture
    for value in (uri, picture):
        with pytest.raises(ResultError):
            await fetcher.fetch(value, max_bytes=size - 1)


@pytest.mark.parametrize(
    "value", [None, 7, b"", "data:", "data:image/png;base64,", "data:image/png;base64,!!!!", "data:,x"]
)
async def test_what_is_no_result_is_refused(client: HttpClient, value: object) -> None:
    with pytest.raises(ResultError):
        await ResultFetcher(client, ResultAddresses(base_url="https://api.test")).fetch(value)


# Where the key goes.


async def test_the_key_goes_to_the_api_and_nowhere_else(internet: Internet) -> None:
    recorder = internet.recorder

    async def order(request: web.Request) -> web.Response:
        return web.json_response(
            {"url": internet.url("/redirect?to=/picture"), "status_url": "https://cdn.test/status"}
        )

    app = web.Application(middlewares=[recorder.middleware("api", may_have_secret=True)])
    app.router.add_post("/v1/images", order)
    async with serving(app) as port:
        base_url = f"http://127.0.0.1:{port}/v1"
        api = ProviderApi(internet.client, base_url, {"Authorization": f"Bearer {KEY}"})
        answer = (await api.post("images", json_body({"prompt": "a heron"}))).json()
        assert isinstance(answer, dict)
        assert await internet.fetcher(base_url=base_url).fetch(answer["url"]) == PICTURE
        foreign: list[Callable[[str], object]] = [api.get, api.put]
        for ask in foreign:
            with pytest.raises(Exception, match="outside its own API"):
                await ask(internet.url("/picture"))  # type: ignore[misc]
        with pytest.raises(Exception, match="outside its own API"):
            api.stream("GET", answer["status_url"])
    assert recorder.to("api")[0].headers["authorization"] == f"Bearer {KEY}"
    assert [each.path for each in recorder.to("cdn")] == ["/redirect", "/picture"]
    assert recorder.leaks == []
    assert KEY not in repr(api)


async def test_an_api_that_redirects_elsewhere_does_not_get_the_key_there(internet: Internet) -> None:
    async with answering(head("307 Moved", Location=internet.url("/picture"), Content_Length=0)) as server:
        api = ProviderApi(internet.client, server.url, {"Authorization": f"Bearer {KEY}"})
        assert (await api.post("images", json_body({}))).status == 307
    assert internet.recorder.arrivals == []
