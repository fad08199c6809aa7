import asyncio
import gzip
import json
import os
import socket
import ssl
import sys
import threading
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from aiohttp import web

from limner.domain.limits import KIB, MIB
from limner.outbound.answer import picture_bytes
from limner.outbound.body import Base64, Body, DataUri, Part, Source, bytes_body, json_body, multipart_body
from limner.outbound.budget import ByteBudget
from limner.outbound.client import HttpClient, Timeouts
from limner.outbound.errors import (
    AnswerTooLargeError,
    OutcomeUnknownError,
    UnboughtError,
    UnreachableError,
    UnreadableAnswerError,
)
from tests.event_loop import held
from tests.unit.outbound.servers import (
    RawServer,
    answering,
    asking,
    certificate,
    head,
    reset_connection,
    serving,
    silent_port,
)

ORDER = json_body({"prompt": "a heron"})
SOON = Timeouts(connect_s=0.3, first_byte_s=0.3, total_s=1.5)


async def whole(body: Body) -> bytes:
    return b"".join([part async for part in body.slices()])


@pytest.fixture
async def client() -> AsyncIterator[HttpClient]:
    client = HttpClient()
    yield client
    await client.close()


# What was surely not sent.


async def test_a_refused_connection_means_that_nothing_was_sent(client: HttpClient) -> None:
    with silent_port() as port, pytest.raises(UnreachableError):
        await client.send(asking("POST", f"http://127.0.0.1:{port}/v1", ORDER))


async def test_a_name_without_address_means_that_nothing_was_sent(client: HttpClient) -> None:
    with pytest.raises(UnreachableError):
        await client.send(asking("POST", "https://no-such-host.invalid/v1", ORDER))


async def test_a_certificate_that_is_not_believed_means_that_nothing_was_sent(
    tmp_path: Path, client: HttpClient
) -> None:
    server, _ = certificate(tmp_path, "elsewhere.test")
    async with serving(web.Application(), tls=server) as port:
        with pytest.raises(UnreachableError):
            await client.send(asking("POST", f"https://127.0.0.1:{port}/v1", ORDER))


async def test_a_server_that_speaks_no_tls_means_that_nothing_was_sent(client: HttpClient) -> None:
    async with serving(web.Application()) as port:
        with pytest.raises(UnreachableError):
            await client.send(asking("POST", f"https://127.0.0.1:{port}/v1", ORDER))


async def test_a_tls_handshake_that_never_ends_runs_into_the_connect_limit(client: HttpClient) -> None:
    async def silent(reader: asyncio.StreamReader, _: asyncio.StreamWriter) -> None:
        await reader.read()

    async with RawServer(silent).running() as server:
        with pytest.raises(UnreachableError):
            await client.send(asking("POST", server.url.replace("http:", "https:"), ORDER, timeouts=SOON))


async def test_a_listener_that_never_accepts_runs_into_the_connect_limit(client: HttpClient) -> None:
    with socket.socket() as full:
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        address = full.getsockname()
        with socket.socket() as first, socket.socket() as second:
            for other in (first, second):
                other.setblocking(False)
                other.connect_ex(address)
            with pytest.raises(UnreachableError):
                await client.send(asking("POST", f"http://127.0.0.1:{address[1]}/", ORDER, timeouts=SOON))


async def test_waiting_for_a_place_in_the_pool_means_that_nothing_was_sent() -> None:
    client = HttpClient(max_connections=1)
    async with answering(head(Content_Length=9), pause_s=0.6) as server:
        first = asyncio.create_task(client.send(asking("GET", server.url, timeouts=Timeouts(first_byte_s=5))))
        await asyncio.sleep(0.05)
        with pytest.raises(UnreachableError):
            await client.send(asking("POST", server.url, ORDER, timeouts=SOON))
        with pytest.raises(OutcomeUnknownError):
            await first
        assert len(server.requests) == 1
    await client.close()


async def test_a_closed_client_sends_nothing() -> None:
    client = HttpClient()
    await client.close()
    with pytest.raises(UnreachableError):
        await client.send(asking("GET", "http://127.0.0.1:1/"))


# What nobody knows.

_UNKNOWN = {
    "closes before the headers": ((), False),
    "resets before the headers": ((), True),
    "closes in the headers": ((b"HTTP/1.1 200 OK\r\nContent-",), False),
    "closes in the body": ((head(Content_Length=100), b"half"), False),
    "resets in the body": ((head(Content_Length=100), b"half"), True),
    "closes in a chunk": ((head(Transfer_Encoding="chunked"), b"64\r\nhalf"), False),
    "speaks no http": ((b"SSH-2.0-OpenSSH_9.6\r\n\r\n",), False),
    "packs the body wrongly": ((head(Content_Length=4, Content_Encoding="gzip"), b"junk"), False),
    "packs the body in another way": ((head(Content_Length=4, Content_Encoding="br"), b"junk"), False),
}


@pytest.mark.parametrize("fault", _UNKNOWN)
async def test_the_outcome_is_unknown_when_the_server(fault: str, client: HttpClient) -> None:
    parts, reset = _UNKNOWN[fault]
    async with answering(*parts, reset=reset) as server:
        with pytest.raises(OutcomeUnknownError):
            await client.send(asking("POST", server.url, ORDER))
        assert len(server.requests) == 1


async def test_the_outcome_is_unknown_when_the_body_was_sent_in_part(client: HttpClient) -> None:
    async def half(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readexactly(100 * KIB)
        reset_connection(writer)

    async with RawServer(half).running() as server:
        with pytest.raises(OutcomeUnknownError):
            await client.send(asking("POST", server.url, bytes_body(bytes(16 * MIB), "image/png")))


async def test_a_server_that_says_nothing_runs_into_the_first_byte_limit(client: HttpClient) -> None:
    async with RawServer(_silent).running() as server:
        begin = asyncio.get_running_loop().time()
        with pytest.raises(OutcomeUnknownError):
            await client.send(asking("POST", server.url, ORDER, timeouts=SOON))
        assert asyncio.get_running_loop().time() - begin < 0.8


async def _silent(reader: asyncio.StreamReader, _: asyncio.StreamWriter) -> None:
    await reader.read()


async def test_a_server_that_drips_runs_into_the_total_limit(client: HttpClient) -> None:
    drops = [b"x"] * 100
    async with answering(head(Content_Length=100), *drops, pause_s=0.1) as server:
        with pytest.raises(OutcomeUnknownError):
            await client.send(asking("POST", server.url, ORDER, timeouts=SOON))


async def test_a_cancelled_request_is_cancelled_and_not_an_unknown_outcome(client: HttpClient) -> None:
    async with RawServer(_silent).running() as server:
        task = asyncio.create_task(client.send(asking("POST", server.url, ORDER)))
        await asyncio.sleep(0.05)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task


async def test_errors_of_the_block_around_a_stream_stay_what_they_are(client: HttpClient) -> None:
    async with answering(head(Content_Length=2), b"ok") as server:
        with pytest.raises(TimeoutError, match="ours"):
            async with client.stream(asking("GET", server.url)):
                raise TimeoutError("ours")


# What it never does by itself.


@pytest.mark.parametrize("method", ["GET", "PUT", "POST"])
async def test_a_connection_that_the_server_closed_meanwhile_is_not_tried_again(
    client: HttpClient, method: str
) -> None:
    async def one_answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await server.request(reader)
        writer.write(head(Content_Length=2) + b"ok")
        await server.request(reader)
        reset_connection(writer)

    server = RawServer(one_answer)
    async with server.running():
        assert (await client.send(asking(method, server.url))).status == 200
        with pytest.raises(OutcomeUnknownError):
            await client.send(asking(method, server.url))
        assert (len(server.requests), server.connections) == (2, 1)


async def test_redirects_are_answers_and_not_followed(client: HttpClient) -> None:
    async with answering(head("302 Found", Location="/elsewhere", Content_Length=0)) as server:
        answer = await client.send(asking("GET", server.url))
        assert (answer.status, answer.header("Location"), len(server.requests)) == (302, "/elsewhere", 1)


async def test_cookies_are_not_kept(client: HttpClient) -> None:
    async with answering(head(Set_Cookie="a=b", Content_Length=0, Connection="close")) as server:
        await client.send(asking("GET", server.url))
        await client.send(asking("GET", server.url))
        assert b"ookie" not in b"".join(server.requests)


async def test_proxies_of_the_environment_are_not_used(client: HttpClient, monkeypatch: pytest.MonkeyPatch) -> None:
    async with answering(head(Content_Length=2), b"ok") as server:
        monkeypatch.setenv("HTTP_PROXY", "http://no-such-proxy.invalid")
        assert (await client.send(asking("GET", server.url))).body == b"ok"


async def test_a_proxy_is_used_when_the_operator_names_one() -> None:
    async with answering(head(Content_Length=2), b"ok") as proxy:
        client = HttpClient(proxy=proxy.url)
        assert (await client.send(asking("GET", "http://api.test/v1"))).body == b"ok"
        await client.close()
        assert proxy.requests[0].startswith(b"GET http://api.test/v1 ")


async def test_a_purchase_does_not_use_a_connection_that_the_server_has_closed(client: HttpClient) -> None:
    closed = threading.Event()

    def close(sock: socket.socket) -> None:
        sock.shutdown(socket.SHUT_WR)
        closed.set()

    async def closes_later(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await server.request(reader)
        writer.write(head(Content_Length=0))
        await writer.drain()
        # Another thread closes, while the loop is busy and can't notice.
        threading.Timer(0.01, close, (writer.get_extra_info("socket"),)).start()
        await server.request(reader)

    server = RawServer(closes_later)
    async with server.running():
        for _ in range(5):
            assert (await client.send(asking("POST", server.url, ORDER))).status == 200
            assert closed.wait(10)  # the loop stands still meanwhile
            closed.clear()
    assert server.connections == 5


# Limits of size.


async def test_an_answer_that_says_that_it_is_too_large_is_not_read(client: HttpClient) -> None:
    async with answering(head(Content_Length=10**12), b"x") as server:
        with pytest.raises(AnswerTooLargeError):
            await client.send(asking("GET", server.url, max_bytes=MIB))


async def test_an_answer_of_no_declared_size_is_cut_off_at_the_limit(client: HttpClient) -> None:
    sent = 0

    async def endless(request: web.Request) -> web.StreamResponse:
        nonlocal sent
        response = web.StreamResponse()
        await response.prepare(request)
        while sent < 64 * MIB:
            await response.write(bytes(64 * KIB))
            sent += 64 * KIB
        return response

    app = web.Application()
    app.router.add_get("/", endless)
    async with serving(app) as port:
        with pytest.raises(AnswerTooLargeError):
            await client.send(asking("GET", f"http://127.0.0.1:{port}/", max_bytes=MIB))
    assert sent < 16 * MIB


async def test_a_gzip_bomb_is_cut_off_at_the_limit(client: HttpClient) -> None:
    bomb = gzip.compress(bytes(64 * MIB))
    async with answering(head(Content_Length=len(bomb), Content_Encoding="gzip"), bomb) as server:
        with pytest.raises(AnswerTooLargeError):
            await client.send(asking("GET", server.url, max_bytes=8 * MIB))


async def test_an_answer_that_was_packed_unasked_is_unpacked(client: HttpClient) -> None:
    data = b"\x89" + os.urandom(300 * KIB) + bytes(300 * KIB)
    packed = gzip.compress(data)
    async with answering(head(Content_Length=len(packed), Content_Encoding="gzip"), packed) as server:
        assert (await client.send(asking("GET", server.url))).body == data
        assert b"Accept-Encoding: identity" in server.requests[0]


@pytest.mark.parametrize(
    "parts",
    [
        (head("429 Too Many", Content_Length=99, Retry_After=3), b"half"),
        (head("429 Too Many", Retry_After=3, Content_Length=10**9), b"half"),
    ],
)
async def test_the_status_of_an_error_counts_though_its_body_is_broken_or_huge(
    client: HttpClient, parts: tuple[bytes, ...]
) -> None:
    async with answering(*parts) as server:
        answer = await client.send(asking("POST", server.url, ORDER))
        assert (answer.status, answer.header("Retry-After")) == (429, "3")


async def test_an_error_that_repeats_the_whole_request_can_be_read(client: HttpClient) -> None:
    detail = {"type": "content_policy_violation", "input": {"image_url": DataUri("image/png", os.urandom(3 * MIB))}}
    text = await whole(json_body({"detail": [detail, {"loc": ["body"]}]}))
    async with answering(head("422 No", Content_Length=len(text)), text) as server:
        found = (await client.send(asking("POST", server.url, ORDER))).json()
    assert isinstance(found, dict)
    assert found["detail"][0]["type"] == "content_policy_violation"
    assert found["detail"][1] == {"loc": ["body"]}


async def test_an_error_page_without_end_is_cut_off(client: HttpClient) -> None:
    page = b"<html>" + b"x" * MIB
    async with answering(head("500 Crash", Content_Length=len(page)), page) as server:
        answer = await client.send(asking("POST", server.url, ORDER))
    assert (answer.status, answer.text(6)) == (500, "<html>")
    assert len(answer.body) < 400 * KIB


# What is sent.


async def test_a_json_body_carries_pictures_as_base64_and_data_uris(client: HttpClient) -> None:
    small, large = os.urandom(1001), os.urandom(3 * MIB + 1)
    body = json_body({"a": [DataUri("image/png", small), "text"], "b": {"c": Base64(large)}, "d": 1})
    async with answering(head(Content_Length=0)) as server:
        await client.send(asking("POST", server.url, body))
        sent = server.requests[0].partition(b"\r\n\r\n")[2]
    assert len(sent) == body.size_bytes
    document = json.loads(sent)
    assert document["a"][0].startswith("data:image/png;base64,")
    assert picture_bytes(document["a"][0]) == small
    assert picture_bytes(document["b"]["c"]) == large
    assert (document["a"][1], document["d"]) == ("text", 1)


async def test_a_multipart_body_arrives_as_it_was_given(client: HttpClient) -> None:
    received: list[tuple[str | None, str | None, str, bytes]] = []

    async def keep(request: web.Request) -> web.Response:
        async for part in await request.multipart():
            data = bytes(await part.read())  # type: ignore[union-attr]
            received.append((part.name, part.filename, part.headers.get("Content-Type", ""), data))  # type: ignore[union-attr]
        return web.Response()

    app = web.Application(client_max_size=64 * MIB)
    app.router.add_post("/", keep)
    pictures = [os.urandom(5 * MIB), os.urandom(7)]
    parts = [
        Part(name="prompt", data='say "hé"\r\n--x'),
        *(Part(name="image[]", data=each, file_name='a".png', content_type="image/png") for each in pictures),
    ]
    async with serving(app) as port:
        await client.send(asking("POST", f"http://127.0.0.1:{port}/", multipart_body(parts)))
    assert received[0] == ("prompt", None, "", 'say "hé"\r\n--x'.encode())
    assert [each[0] for each in received[1:]] == ["image[]", "image[]"]
    assert [each[2:] for each in received[1:]] == [("image/png", each) for each in pictures]


async def test_a_connection_is_used_again_until_it_lies_idle_too_long(client: HttpClient) -> None:
    connections: list[object] = []

    async def keep(request: web.Request) -> web.Response:
        assert request.transport is not None
        connections.append(request.transport.get_extra_info("peername"))
        return web.Response()

    app = web.Application()
    app.router.add_post("/", keep)
    async with serving(app) as port:
        for pause_s in (0.0, 0.1, 4.5):
            await asyncio.sleep(pause_s)
            await client.send(asking("POST", f"http://127.0.0.1:{port}/", ORDER))
    assert connections[0] == connections[1] != connections[2]


async def test_a_body_can_be_sent_again(client: HttpClient) -> None:
    body = json_body({"image": Base64(os.urandom(200 * KIB))})
    async with answering(head(Content_Length=0, Connection="close")) as server:
        await client.send(asking("POST", server.url, body))
        await client.send(asking("POST", server.url, body))
        assert len({each.partition(b"\r\n\r\n")[2] for each in server.requests}) == 1


def source(data: bytes, *, size: int = 0, part: int = 70_001, fails_after: int = 1 << 40) -> Source:
    """Bytes in uneven parts, of a size that need not be the truth, from a place that may fail."""

    async def stream() -> AsyncIterator[bytes]:
        for at in range(0, len(data), part):
            if at >= fails_after:
                raise LostError
            yield data[at : at + part]

    return Source(size or len(data), stream)


class LostError(Exception):
    pass


@pytest.mark.parametrize("size", [0, 1, 3000, 200 * KIB, MIB + 1])
@pytest.mark.parametrize("part", [1000, 70_001, 4 * MIB])
async def test_what_is_read_while_it_is_sent_arrives_as_it_is(client: HttpClient, size: int, part: int) -> None:
    data = os.urandom(size)
    async with answering(head(Content_Length=0, Connection="close")) as server:
        for body in (json_body({"a": Base64(source(data, part=part))}), json_body({"a": Base64(data)})):
            await client.send(asking("POST", server.url, body))
        first, second = (each.partition(b"\r\n\r\n")[2] for each in server.requests)
        assert first == second
        parts = [Part(name="image", data=source(data, part=part), file_name="a.png")]
        await client.send(asking("POST", server.url, multipart_body(parts)))
        assert data in server.requests[-1]


@pytest.mark.parametrize("size", [1000, MIB])
async def test_what_a_body_raises_while_it_is_sent_is_raised(client: HttpClient, size: int) -> None:
    async with answering(head(Content_Length=0)) as server:
        with pytest.raises(LostError):
            body = json_body({"a": Base64(source(bytes(size), part=size // 2, fails_after=1))})
            await client.send(asking("POST", server.url, body))
        assert not [each for each in server.requests if each.endswith(b"}")], "the request was whole"


@pytest.mark.parametrize("size", [MIB - 1, MIB + 1])
async def test_a_body_of_another_size_than_it_says_is_not_sent_to_its_end(client: HttpClient, size: int) -> None:
    async with answering(head(Content_Length=0)) as server:
        with pytest.raises(UnboughtError) as raised:
            await client.send(asking("POST", server.url, json_body({"a": Base64(source(bytes(size), size=MIB))})))
        assert not raised.value.may_retry
        assert not [each for each in server.requests if each.endswith(b"}")], "the request was whole"


async def test_a_value_that_is_no_json_is_refused() -> None:
    with pytest.raises(TypeError):
        json_body({"a": b"bytes"})


async def test_an_answer_that_comes_before_the_whole_body_was_sent_is_taken(client: HttpClient) -> None:
    async def early(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(head("413 Too Large", Content_Length=0))
        await asyncio.sleep(0.3)

    async with RawServer(early).running() as server:
        answer = await client.send(asking("POST", server.url, bytes_body(bytes(16 * MIB), "image/png")))
    assert answer.status == 413


# What is received.


@pytest.mark.parametrize("size", [10, 40 * KIB, 3 * MIB])
@pytest.mark.parametrize("chunked", [False, True])
async def test_pictures_in_json_come_back_as_bytes(client: HttpClient, size: int, chunked: bool) -> None:
    pictures = [os.urandom(size), os.urandom(size + 1)]
    document = {"data": [{"b64_json": Base64(each)} for each in pictures], "created": 7}
    text = await whole(json_body(document))
    framing = {"Transfer_Encoding": "chunked"} if chunked else {"Content_Length": len(text)}
    framed = b"%x\r\n%b\r\n0\r\n\r\n" % (len(text), text) if chunked else text
    async with answering(head(**framing), framed) as server:
        answer = await client.send(asking("POST", server.url, ORDER))
    found = answer.json()
    assert isinstance(found, dict)
    assert found["created"] == 7
    assert [picture_bytes(each["b64_json"]) for each in found["data"]] == pictures


async def test_large_answers_are_let_in_one_after_the_other_and_small_ones_at_once() -> None:
    client = HttpClient(budget=ByteBudget(3 * MIB))
    large, small = bytes(2 * MIB), bytes(10 * KIB)
    async with (
        answering(head(Content_Length=len(large), Connection="close"), large) as first,
        answering(head(Content_Length=len(small), Connection="close"), small) as second,
    ):
        with client.budget.share() as one, client.budget.share() as other, client.budget.share() as third:
            await client.send(asking("GET", first.url, share=one))
            waiting = asyncio.create_task(client.send(asking("GET", first.url, share=other)))
            assert (await client.send(asking("GET", second.url, share=third))).body == small
            await asyncio.sleep(0.05)
            assert not waiting.done()
            one.give_back()
            assert (await waiting).body == large
    await client.close()


async def test_an_answer_that_is_no_json_can_be_read_but_not_parsed(client: HttpClient) -> None:
    page = b"<html>502</html>"
    async with answering(head(Content_Length=len(page)), page) as server:
        answer = await client.send(asking("GET", server.url))
    assert answer.text() == "<html>502</html>"
    with pytest.raises(UnreadableAnswerError):
        answer.json()


async def test_events_come_while_the_stream_is_open(client: HttpClient) -> None:
    picture = os.urandom(2 * MIB)
    line = await whole(json_body({"b64_json": Base64(picture)}))
    parts = [
        head(Content_Type="text/event-stream"),
        b": hello\n\nevent: image_generation.partial_image\ndata: " + line + b"\n\n",
        b"event: image_generation.completed\r\ndata: {}\r\n\r\n",
        b"data: [DONE]\n\n",
    ]
    async with answering(*parts, pause_s=0.05) as server, client.stream(asking("POST", server.url, ORDER)) as stream:
        assert stream.is_events
        events = [event async for event in stream.events()]
    assert [event.name for event in events] == ["image_generation.partial_image", "image_generation.completed", ""]
    first = events[0].json()
    assert isinstance(first, dict)
    assert picture_bytes(first["b64_json"]) == picture
    assert events[2].data == b"[DONE]"


async def test_a_stream_that_breaks_off_leaves_the_outcome_unknown(client: HttpClient) -> None:
    parts = [head(Content_Type="text/event-stream", Transfer_Encoding="chunked"), b"9\r\ndata: 1\n\n\r\n"]
    async with answering(*parts, reset=True) as server, client.stream(asking("GET", server.url)) as stream:
        events = stream.events()
        assert (await anext(events)).data == b"1"
        with pytest.raises(OutcomeUnknownError):
            await anext(events)


# The event loop.


async def test_the_event_loop_does_not_stand_still_while_large_pictures_come_and_go() -> None:
    """Against a server in another process, so that only the client's own work is measured."""
    picture = os.urandom(20 * MIB)
    async with picture_process(len(picture)) as url:
        client = HttpClient()
        await client.send(asking("GET", url))

        async def send_three() -> None:
            body = {"image": Base64(picture)}
            answers = await asyncio.gather(*(client.send(asking("POST", url, json_body(body))) for _ in range(3)))
            for answer in answers:
                found = answer.json()
                assert isinstance(found, dict)
                assert len(found["b64_json"]) == len(picture)

        three = await held(send_three, under_s=0.005)
        await client.close()
    assert three.longest_turn_s < 0.005


_PICTURE_PROCESS = """
import asyncio, binascii, os, sys
body = b'{"b64_json":"' + binascii.b2a_base64(os.urandom(int(sys.argv[1])), newline=False) + b'"}'
async def serve(reader, writer):
    try:
        while True:
            head = await reader.readuntil(b"\\r\\n\\r\\n")
            sizes = [line for line in head.lower().split(b"\\r\\n") if line.startswith(b"content-length:")]
            left = int(sizes[0].split(b":")[1]) if sizes else 0
            while left:
                left -= len(await reader.read(min(left, 65536)))
            writer.write(b"HTTP/1.1 200 OK\\r\\nContent-Length: %d\\r\\n\\r\\n" % len(body))
            for at in range(0, len(body), 65536):
                writer.write(body[at:at + 65536])
                await writer.drain()
    except (asyncio.IncompleteReadError, ConnectionError):
        writer.close()
async def main():
    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()
asyncio.run(main())
"""


class picture_process:  # noqa: N801
    """A server in a process of its own that answers with a picture in JSON."""

    def __init__(self, size: int) -> None:
        self._size = size

    async def __aenter__(self) -> str:
        self._process = await asyncio.create_subprocess_exec(
            sys.executable, "-c", _PICTURE_PROCESS, str(self._size), stdout=asyncio.subprocess.PIPE
        )
        assert self._process.stdout is not None
        return f"http://127.0.0.1:{int(await self._process.stdout.readline())}/"

    async def __aexit__(self, *_: object) -> None:
        self._process.kill()
        await self._process.communicate()


def test_a_context_for_tls_is_taken() -> None:
    assert HttpClient(tls=ssl.create_default_context())
