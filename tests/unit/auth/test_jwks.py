import asyncio
import json
import os
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from limner.auth.jwks import MAX_JWKS_BYTES, JwksFile, JwksHttps
from limner.auth.keys import KeysUnavailableError
from limner.auth.rotation import RotatingKeys
from tests.unit.auth.issuer import Clock, JwksServer, SigningKey, jwks, server_certificate, signing_key

OLD, NEW = signing_key("old"), signing_key("new")
Knows = Callable[[RotatingKeys, SigningKey], Awaitable[bool]]


async def knows(keys: RotatingKeys, key: SigningKey) -> bool:
    return await keys.find(key.kid, key.algorithm) is not None


def publish(path: Path, document: bytes) -> None:
    path.write_bytes(document)


def publish_unnoticed(path: Path, document: bytes) -> None:
    before = path.stat()
    path.write_bytes(document)
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))


def damage(path: Path, how: str) -> None:
    if how == "gone":
        path.unlink()
    else:
        path.write_bytes(jwks(OLD)[:-5] if how == "half written" else b" " * (MAX_JWKS_BYTES + 1))


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "jwks.json"
    path.write_bytes(jwks(OLD))
    return path


@pytest.fixture
async def server() -> AsyncIterator[JwksServer]:
    async with JwksServer(jwks(OLD)).serve() as server:
        yield server


def https(server: JwksServer, **arguments: Any) -> JwksHttps:
    return JwksHttps(server.url, **{"refresh_s": 300, "interval_s": 5, "max_stale_s": 3600, **arguments})


# A file


async def test_file_a_new_key_counts_at_once(path: Path) -> None:
    keys = JwksFile(path, refresh_s=3600)
    assert await knows(keys, OLD)
    publish(path, jwks(OLD, NEW))
    assert await knows(keys, NEW)


async def test_file_a_withdrawn_key_stops_counting_soon(path: Path) -> None:
    clock = Clock()
    keys = JwksFile(path, refresh_s=1, clock=clock)
    assert await knows(keys, OLD)
    publish(path, jwks(NEW))
    clock.now += 1
    assert not await knows(keys, OLD)


async def test_file_a_change_within_one_tick_of_the_file_clock_is_seen(path: Path) -> None:
    clock = Clock()
    keys = JwksFile(path, refresh_s=1, clock=clock)
    assert await knows(keys, OLD)
    publish_unnoticed(path, jwks(NEW))
    clock.now += 1
    assert not await knows(keys, OLD)


@pytest.mark.parametrize("how", ["gone", "half written", "too large"])
async def test_file_known_keys_count_for_a_while_when_it_breaks(path: Path, how: str) -> None:
    clock = Clock()
    keys = JwksFile(path, refresh_s=1, max_stale_s=100, clock=clock)
    assert await knows(keys, OLD)
    damage(path, how)
    clock.now += 99
    assert await knows(keys, OLD)
    clock.now += 1
    with pytest.raises(KeysUnavailableError):
        await knows(keys, OLD)
    publish(path, jwks(OLD))
    assert await knows(keys, OLD)


async def test_file_that_is_missing_at_the_start_is_named(tmp_path: Path) -> None:
    with pytest.raises(KeysUnavailableError, match=r"nothing\.json can't be used: No such file"):
        await JwksFile(tmp_path / "nothing.json").check()


async def test_file_an_empty_set_withdraws_all_keys(path: Path) -> None:
    clock = Clock()
    keys = JwksFile(path, refresh_s=1, clock=clock)
    assert await knows(keys, OLD)
    publish(path, jwks())
    clock.now += 1
    assert not await knows(keys, OLD)


# An address: what is fetched, and how often


async def test_https_fetches_once_for_many_tokens(server: JwksServer) -> None:
    keys = https(server)
    assert all([await knows(keys, OLD) for _ in range(10)])
    assert server.fetches == 1
    assert server.requests[0].startswith(b"GET /keys?tenant=secret HTTP/1.1\r\nHost: 127.0.0.1:")


async def test_https_works_over_tls(tmp_path: Path) -> None:
    context, certificate = server_certificate(tmp_path)
    async with JwksServer(jwks(OLD)).serve(context) as server:
        assert server.url.startswith("https:")
        assert await knows(https(server, ca_file=certificate), OLD)


async def test_https_refuses_a_server_that_it_does_not_trust(tmp_path: Path) -> None:
    context, _ = server_certificate(tmp_path)
    async with JwksServer(jwks(OLD)).serve(context) as server:
        with pytest.raises(KeysUnavailableError, match="certificate"):
            await https(server).check()
        assert server.fetches == 0


async def test_https_understands_chunks(server: JwksServer) -> None:
    body = jwks(OLD)
    server.headers = {"content-length": "", "transfer-encoding": "chunked"}
    server.document = b"%x\r\n%s\r\n%x\r\n%s\r\n0\r\n\r\n" % (50, body[:50], len(body) - 50, body[50:])
    assert await knows(https(server), OLD)


async def test_https_a_new_key_is_fetched_when_a_token_names_it(server: JwksServer) -> None:
    clock = Clock()
    keys = https(server, clock=clock)
    assert await knows(keys, OLD)
    server.document = jwks(OLD, NEW)
    clock.now += 5
    assert await knows(keys, NEW)
    assert server.fetches == 2


async def test_https_invented_key_ids_do_not_hammer_the_endpoint(server: JwksServer) -> None:
    clock = Clock()
    keys = https(server, clock=clock)
    assert await knows(keys, OLD)
    for second in range(21):
        clock.now = second
        found = await asyncio.gather(*(keys.find(f"garbage-{number}", "ES256") for number in range(50)))
        assert found == [None] * 50
    assert server.fetches == 5


async def test_https_concurrent_callers_share_one_fetch(server: JwksServer) -> None:
    server.delay_s = 0.05
    keys = https(server)
    assert all(await asyncio.gather(*(knows(keys, OLD) for _ in range(100))))
    assert server.fetches == 1


async def test_https_a_caller_who_leaves_does_not_spoil_the_fetch_for_the_others(server: JwksServer) -> None:
    server.delay_s = 0.05
    keys = https(server)
    leaver = asyncio.create_task(knows(keys, OLD))
    stayer = asyncio.create_task(knows(keys, OLD))
    await asyncio.sleep(0.01)
    leaver.cancel()
    assert await stayer
    assert leaver.cancelled()
    assert server.fetches == 1


async def test_https_a_withdrawn_key_stops_counting_with_the_next_refresh(server: JwksServer) -> None:
    clock = Clock()
    keys = https(server, refresh_s=300, clock=clock)
    assert await knows(keys, OLD)
    server.document = jwks(NEW)
    clock.now += 299
    assert await knows(keys, OLD)
    clock.now += 1
    assert not await knows(keys, OLD)
    assert server.fetches == 2


# An address that misbehaves


async def test_https_known_keys_count_for_a_bounded_time_while_the_endpoint_is_down(server: JwksServer) -> None:
    clock = Clock()
    keys = https(server, max_stale_s=3600, clock=clock)
    assert await knows(keys, OLD)
    server.status = 503
    for clock.now in range(0, 3600, 100):
        assert await knows(keys, OLD)
    clock.now = 3600
    with pytest.raises(KeysUnavailableError):
        await knows(keys, OLD)
    server.status = 200
    clock.now += 5
    assert await knows(keys, OLD)


async def test_https_while_it_is_down_it_is_asked_no_more_often_than_allowed(server: JwksServer) -> None:
    clock = Clock()
    keys = https(server, clock=clock)
    server.hang_up = True
    for second in range(20):
        clock.now = second
        for _ in range(10):
            with pytest.raises(KeysUnavailableError):
                await knows(keys, OLD)
    assert server.fetches == 4


async def test_https_a_slow_endpoint_does_not_hold_up_known_keys(server: JwksServer) -> None:
    clock = Clock()
    keys = https(server, refresh_s=300, timeout_s=1, clock=clock)
    assert await knows(keys, OLD)
    server.delay_s = 30
    clock.now += 300
    start = time.perf_counter()
    assert await knows(keys, OLD)
    assert 0.2 < time.perf_counter() - start < 0.8
    start = time.perf_counter()
    assert all([await knows(keys, OLD) for _ in range(100)])
    assert time.perf_counter() - start < 0.1
    await keys.close()


@pytest.mark.parametrize("fault", ["delay_s", "drip_s"])
async def test_https_the_timeout_bounds_the_whole_fetch(server: JwksServer, fault: str) -> None:
    setattr(server, fault, 30 if fault == "delay_s" else 0.02)
    start = time.perf_counter()
    with pytest.raises(KeysUnavailableError, match=r"within 0\.2 s"):
        await https(server, timeout_s=0.2).check()
    assert time.perf_counter() - start < 1


async def test_https_nobody_listens() -> None:
    async with JwksServer().serve() as server:
        pass
    with pytest.raises(KeysUnavailableError, match="does not answer properly"):
        await https(server).check()


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_https_redirects_are_refused(server: JwksServer, status: int) -> None:
    async with JwksServer(jwks(OLD)).serve() as target:
        server.status, server.headers = status, {"location": target.url}
        with pytest.raises(KeysUnavailableError, match=f"status {status}"):
            await https(server).check()
        assert target.fetches == 0


@pytest.mark.parametrize("announced", [True, False])
@pytest.mark.parametrize("size", [MAX_JWKS_BYTES + 1, 50_000_000])
async def test_https_huge_answers_are_refused(server: JwksServer, size: int, announced: bool) -> None:
    server.document = jwks(OLD).ljust(size)
    server.headers = {} if announced else {"content-length": ""}
    with pytest.raises(KeysUnavailableError, match="larger than 65536 bytes"):
        await https(server).check()


async def test_https_an_answer_of_the_largest_size_is_taken(server: JwksServer) -> None:
    server.document = jwks(OLD).ljust(MAX_JWKS_BYTES)
    assert await knows(https(server), OLD)


@pytest.mark.parametrize(
    ("document", "headers"),
    [
        (b"<html>sign in</html>", {}),
        (b'{"error": "no"}', {}),
        (jwks(OLD)[:-10], {"content-length": str(len(jwks(OLD)))}),
        (jwks(OLD), {"content-length": "", "transfer-encoding": "chunked"}),
        (jwks(OLD), {"x": "y" * 70_000}),
        (json.dumps([1]).encode(), {}),
    ],
    ids=["html", "no set", "cut", "bad chunks", "huge header", "list"],
)
async def test_https_nonsense_is_refused_and_known_keys_stay(
    server: JwksServer, document: bytes, headers: dict[str, str]
) -> None:
    keys = https(server)
    await keys.check()
    server.document, server.headers = document, headers
    with pytest.raises(KeysUnavailableError):
        await keys.check()
    assert await knows(keys, OLD)


async def test_https_faults_are_told_without_the_query(server: JwksServer) -> None:
    server.status = 500
    with pytest.raises(KeysUnavailableError) as failure:
        await https(server).check()
    assert "secret" not in str(failure.value)
    assert "/keys" in str(failure.value)


async def test_https_closing_gives_up_a_fetch(server: JwksServer) -> None:
    server.delay_s = 30
    keys = https(server)
    waiting = asyncio.create_task(knows(keys, OLD))
    await asyncio.sleep(0.05)
    await asyncio.wait_for(keys.close(), 1)
    with pytest.raises(KeysUnavailableError):
        await waiting


async def test_https_the_loop_goes_on_while_it_fetches(server: JwksServer) -> None:
    server.delay_s = 0.3
    fetch = asyncio.create_task(knows(https(server), OLD))
    rounds = 0
    while not fetch.done():
        await asyncio.sleep(0.005)
        rounds += 1
    assert fetch.result()
    assert rounds > 10  # a fetch on the loop would leave it one or two


# Which addresses are acceptable


@pytest.mark.parametrize(
    "url",
    [
        "https://id.example.com/keys",
        "https://id.example.com",
        "https://10.0.0.1:8443/keys?tenant=a",
        "https://[2001:db8::1]/keys",
        "http://127.0.0.1:8080/keys",
        "http://127.9.9.9/keys",
        "http://[::1]:8080/keys",
        "http://localhost/keys",
    ],
)
def test_accepts_https_and_loopback_addresses(url: str) -> None:
    JwksHttps(url)


@pytest.mark.parametrize(
    "url",
    [
        "http://id.example.com/keys",
        "http://10.0.0.1/keys",
        "http://0.0.0.0/keys",
        "http://127.0.0.1.example.com/keys",
        "http://localhost.example.com/keys",
        "http://localhost@example.com/keys",
        "http://2130706433/keys",
        "https://user:password@id.example.com/keys",
        "https://id.example.com/keys\r\nx: y",
        "https://id.example.com/a b",
        "https://id.example.com:99999/keys",
        "ftp://127.0.0.1/keys",
        "file:///etc/passwd",
        "https:///keys",
        "id.example.com/keys",
        "",
    ],
)
def test_refuses_other_addresses(url: str) -> None:
    with pytest.raises(ValueError):
        JwksHttps(url)
