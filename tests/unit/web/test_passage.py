"""What every request of a door passes, by a listener of its own: no service behind it, no gateway before it."""

import asyncio
import json
import logging
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

import httpx
import pytest
from aiohttp import web

from limner.domain import errors, limits
from limner.rpc.call import current_caller
from limner.service.caller import Caller, Role
from limner.web.door import Door, Route
from limner.web.server import ACCEPTING, WebServer

MEMBER = "/imageservice.v1.ImageService/UploadImage"
TOKEN = {"authorization": "Bearer good"}
PATH = "/v1/workspaces/acme/things"


class OneToken:
    """A verifier that accepts ``good``, of a member of acme."""

    async def verify(self, token: str) -> Caller:
        if token != "good":
            raise errors.CredentialsInvalidError
        return Caller(user_id="ada", workspaces={"acme": Role.MEMBER})

    async def close(self) -> None:
        pass


async def count(request: web.Request) -> web.Response:
    """Answer who called and how long the body was."""
    return web.json_response({"user": current_caller().user_id, "bytes": len(await request.read())})


def route(answer: Any = count, *, method: str = "POST", policy: str = MEMBER, **more: Any) -> Route:
    return Route(method=method, path="/v1/workspaces/{workspaceId}/things", policy=policy, answer=answer, **more)


@asynccontextmanager
async def listening(*routes: Route, drain_timeout_s: float = 5, **more: Any) -> AsyncIterator[tuple[WebServer, str]]:
    server = WebServer([Door(routes=routes, **more)], OneToken(), drain_timeout_s=drain_timeout_s)
    await server.start([("127.0.0.1", 0)])
    host, port = server.addresses[0]
    try:
        yield server, f"http://{host}:{port}"
    finally:
        await server.stop()


@asynccontextmanager
async def calling(*routes: Route, headers: Any = None, **more: Any) -> AsyncIterator[httpx.AsyncClient]:
    headers = TOKEN if headers is None else headers
    async with (
        listening(*routes, **more) as (_, url),
        httpx.AsyncClient(base_url=url, headers=headers, timeout=10) as client,
    ):
        yield client


def reason(response: httpx.Response) -> str:
    assert response.headers["content-type"].startswith("application/json")
    body = response.json()
    assert set(body) == {"code", "message", "details"}
    return str(body["details"][0]["reason"])


@pytest.mark.parametrize("prefix", ["/v1", "/api/image-service/v1"])
async def test_a_member_is_answered_under_both_prefixes(prefix: str) -> None:
    async with calling(route()) as client:
        response = await client.post(
            f"{prefix}/workspaces/acme/things", content=b"four", headers={"x-request-id": "my"}
        )

    assert response.json() == {"user": "ada", "bytes": 4}
    assert response.headers["x-request-id"] == "my"


@pytest.mark.parametrize(
    ("headers", "path", "status", "why"),
    [
        ({}, PATH, 401, "CREDENTIALS_MISSING"),
        ({"authorization": "Bearer bad"}, PATH, 401, "CREDENTIALS_INVALID"),
        ({"authorization": "Basic good"}, PATH, 401, "CREDENTIALS_INVALID"),
        (TOKEN, "/v1/workspaces/elsewhere/things", 403, "PERMISSION_DENIED"),
        (TOKEN, "/v1/workspaces/%FF/things", 403, "PERMISSION_DENIED"),
        (TOKEN, "/v1/workspaces/a%2Fb/things", 403, "PERMISSION_DENIED"),
        (TOKEN, "/v1/nowhere", 404, "INVALID_FIELD"),
    ],
)
async def test_who_may_not_ask_gets_no_further(headers: dict[str, str], path: str, status: int, why: str) -> None:
    async def never(request: web.Request) -> web.Response:
        raise AssertionError("the handler was asked")

    async with calling(route(never), headers=headers) as client:
        response = await client.post(path, content=b"body")

    assert (response.status_code, reason(response)) == (status, why)
    assert response.headers["x-request-id"]


async def test_a_route_without_a_policy_is_refused() -> None:
    async with calling(route(policy="unheard of")) as client:
        response = await client.post(PATH)

    assert (response.status_code, reason(response)) == (403, "PERMISSION_DENIED")


async def test_a_stranger_is_answered_before_the_body_is_sent() -> None:
    async with listening(route(max_body_bytes=limits.MAX_UPLOAD_BYTES)) as (_, url):
        reader, writer = await asyncio.open_connection(*url.removeprefix("http://").split(":"))
        writer.write(f"POST {PATH} HTTP/1.1\r\nhost: x\r\ncontent-length: {limits.MAX_UPLOAD_BYTES}\r\n\r\n".encode())
        status = await reader.readline()
        writer.close()

    assert status.split()[1] == b"401"


async def announced(size: int) -> AsyncIterator[bytes]:
    for start in range(0, size, 65_536):
        yield bytes(min(65_536, size - start))


@pytest.mark.parametrize("chunked", [False, True])
async def test_a_body_of_more_than_the_route_takes_is_refused(chunked: bool) -> None:
    size = limits.MIB + 1
    async with calling(route()) as client:
        response = await client.post(PATH, content=announced(size) if chunked else bytes(size))

    assert (response.status_code, reason(response)) == (413, "INVALID_FIELD")


@pytest.mark.parametrize(
    ("path", "headers"),
    [(f"{PATH}?a={'x' * limits.MAX_PATH_BYTES}", {}), (PATH, {"x-large": "x" * limits.MAX_HEADERS_BYTES})],
)
async def test_a_head_that_is_too_large_is_refused_in_json(path: str, headers: dict[str, str]) -> None:
    async with calling(route()) as client:
        response = await client.post(path, headers=headers)

    assert (response.status_code, reason(response)) == (431, "INVALID_FIELD")


async def test_a_token_of_the_greatest_length_gets_to_the_verifier() -> None:
    async with calling(route()) as client:
        response = await client.post(PATH, headers={"authorization": f"Bearer {'x' * limits.MAX_TOKEN_CHARS}"})

    assert reason(response) == "CREDENTIALS_INVALID"


def raising(error: Exception) -> Any:
    async def answer(request: web.Request) -> web.Response:
        raise error

    return answer


@pytest.mark.parametrize("kind", [kind for kind in errors.leaves() if kind is not errors.InvalidFieldError])
async def test_every_error_has_a_status_and_says_its_reason(kind: type[errors.LimnerError]) -> None:
    async with calling(route(raising(kind("why")))) as client:
        response = await client.post(PATH)

    assert 400 <= response.status_code < 600
    assert (reason(response), response.json()["message"]) == (kind.reason, "why")


async def test_a_wait_is_told_in_whole_seconds() -> None:
    async with calling(route(raising(errors.OverloadedError(retry_after_s=1.2)))) as client:
        response = await client.post(PATH)

    assert (response.status_code, response.headers["retry-after"]) == (429, "2")


async def test_a_bug_shows_nothing_of_the_inside(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.ERROR):
        async with calling(route(raising(ValueError("a secret")))) as client:
            response = await client.post(PATH, headers={"x-request-id": "this-one"})

    assert (response.status_code, reason(response)) == (500, "INTERNAL")
    assert "a secret" not in response.text
    assert "this-one" in response.text
    assert "a call failed" in caplog.messages


async def test_a_bug_in_the_midst_of_an_answer_ends_it_without_its_end() -> None:
    async def half(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        await response.write(b"half")
        raise ValueError("and no more")

    async with calling(route(half)) as client:
        with pytest.raises(httpx.RemoteProtocolError):
            await client.post(PATH)


async def test_a_door_writes_errors_as_its_clients_expect() -> None:
    def page(error: errors.LimnerError, status: int) -> web.Response:
        return web.json_response({"error": {"type": error.reason}}, status=status)

    async with calling(route(), headers={}, error=page) as client:
        response = await client.post(PATH)

    assert (response.status_code, response.json()) == (401, {"error": {"type": "CREDENTIALS_MISSING"}})


async def test_head_has_what_get_has_but_for_the_body() -> None:
    async with calling(route(method="GET")) as client:
        got, head = await client.get(PATH), await client.head(PATH)

    assert head.status_code == got.status_code == 200
    assert head.headers["content-length"] == got.headers["content-length"] == str(len(got.content))
    assert head.content == b""


async def test_a_method_that_the_path_has_not_is_not_found() -> None:
    async with calling(route()) as client:
        response = await client.delete(PATH)

    assert (response.status_code, reason(response)) == (404, "INVALID_FIELD")


async def test_who_hangs_up_stops_the_work() -> None:
    begun, stopped = asyncio.Event(), asyncio.Event()

    async def work(request: web.Request) -> web.Response:
        begun.set()
        try:
            await asyncio.Event().wait()
        finally:
            stopped.set()
        raise AssertionError("never")

    async with calling(route(work)) as client:
        asking = asyncio.create_task(client.post(PATH))
        await begun.wait()
        asking.cancel()
        await asyncio.wait_for(stopped.wait(), 10)


async def test_draining_tells_the_gateway_and_closes_connections_but_answers() -> None:
    async with listening(route()) as (server, url), httpx.AsyncClient(base_url=url, headers=TOKEN) as client:
        before = await client.get(ACCEPTING)
        server.drain()
        accepting, answer = await client.get(ACCEPTING), await client.post(PATH, content=b"four")

    assert (before.status_code, accepting.status_code) == (200, 503)
    assert "connection" not in before.headers
    assert (answer.status_code, answer.headers["connection"]) == (200, "close")


async def test_stopping_waits_for_running_requests() -> None:
    begun, go_on = asyncio.Event(), asyncio.Event()

    async def work(request: web.Request) -> web.Response:
        begun.set()
        await go_on.wait()
        return web.Response(text="done")

    async with listening(route(work)) as (server, url), httpx.AsyncClient(base_url=url, headers=TOKEN) as client:
        asking = asyncio.create_task(client.post(PATH))
        await begun.wait()
        stopping = asyncio.create_task(server.stop())
        go_on.set()
        answer = await asking
        await stopping

    assert answer.text == "done"


async def test_a_request_has_a_line_in_the_log_without_what_the_caller_said(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, "limner"):
        async with calling(route()) as client:
            await client.post(f"{PATH}?prompt=hidden", content=b"hidden")

    lines: Sequence[logging.LogRecord] = [record for record in caplog.records if record.getMessage() == "call"]
    (line,) = lines
    assert (vars(line)["method"], vars(line)["code"]) == ("POST /v1/workspaces/{workspaceId}/things", "OK")
    assert "hidden" not in json.dumps(vars(line), default=str)
