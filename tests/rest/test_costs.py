"""What strangers send costs the gateway what its length costs, whatever its shape.

A mebibyte of each shape took a thread up to 10 ms where it was measured, sending it on included; the bound leaves
room for a machine that does other things. What grows faster than its length would take seconds.
"""

from collections.abc import Callable

import httpx
import psutil
import pytest

from limner.domain.limits import MIB
from limner.gateway.process import Gateway
from tests.rest.errors import error_of

EDIT = "/v1/workspaces/acme/image-edit-tasks"
LIST = "/v1/workspaces/acme/images"
BOUND_MS = 25
ROUNDS, CALLS = 4, 5


def text(unit: str) -> bytes:
    """Return an edit whose prompt repeats something, as JSON writes it."""
    size = len(unit.encode())
    return f'{{"prompt":"{unit * ((MIB - 20) // size)}"}}'.encode()


def members(names: Callable[[int], str]) -> bytes:
    """Return an object with as many members as fit, each with one byte as its value."""
    return unknown(lambda index: f'"{names(index)}":1', MIB // (len(names(10**6)) + 5))


def elements(unit: str, name: str = "imageIds") -> bytes:
    """Return a list with as many elements as fit."""
    whole = ",".join([unit] * ((MIB - 200_100) // (len(unit) + 1)))
    return f'{{"{name}":[{whole}]}}'.encode()


def unknown(member: Callable[[int], str], count: int) -> bytes:
    """Return an object of some members."""
    return f"{{{','.join(map(member, range(count)))}}}".encode()


SHAPES = {
    "plain text": text("x"),
    "escapes": text("\\n"),
    "unicode escapes": text("\\u00fc"),
    "surrogate pairs": text("\\ud83e\\udd8a"),
    "characters of many bytes": text("ü🦊"),
    "all mixed": text("a\\n\\u00fcü🦊\\ud83e\\udd8a"),
    "white space": b"{" + b" \n\t\r" * (MIB // 4 - 1) + b"}",
    "a long key": b'{"' + b"k" * (MIB - 10) + b'":1}',
    "a long key over a list": elements("1", "k" * 200_000),
    "a long key with escapes over a list": elements("1", "\\u006b" * 33_000),
    "nested long keys": b'{"' + b'":{"'.join([b"k" * 33_000] * 31) + b'":1' + b"}" * 31,
    "members": members(str),
    "members with a long name": members(lambda index: f"{'k' * 100}{index}"),
    "one member again and again": members(lambda _: "numImages"),
    "members with escaped names": members(lambda index: f"\\u006b{index}"),
    "long texts of unknown members": unknown(lambda index: f'"\\u006b{index}":"{"v" * 980}"', 1020),
    "elements": elements('"a"'),
    "wrong elements": elements("1"),
    "nulls": elements("null"),
    "small objects": elements("{}"),
    "small objects in an unknown list": elements('{"a":{}}', "x"),
    "numbers": elements("-1.5e10", "x"),
    "a long number": b'{"seed":' + b"1" * (MIB - 10) + b"}",
    "a long number as text": b'{"numImages":"' + b"1" * (MIB - 20) + b'"}',
    "objects in objects": b'{"a":' * (MIB // 5),
    "lists in lists": b'{"a":' + b"[" * (MIB - 10),
    "nothing but quotes": b'{"' + b'"' * (MIB - 10),
}


def cheapest_ms(gateway: Gateway, call: Callable[[], object]) -> float:
    """Return the processor time that the gateway took for a call, in the best of some rounds."""
    process = psutil.Process(gateway.pid)

    def used_s() -> float:
        times = process.cpu_times()
        return float(times.user + times.system)

    rounds = []
    for _ in range(ROUNDS):
        before = used_s()
        for _ in range(CALLS):
            call()
        rounds.append((used_s() - before) / CALLS * 1000)
    return min(rounds)


@pytest.mark.parametrize("name", SHAPES)
def test_a_mebibyte_of_json_costs_a_few_milliseconds(gateway: Gateway, rest: httpx.Client, name: str) -> None:
    body = SHAPES[name]
    assert 0.75 * MIB < len(body) <= MIB

    assert cheapest_ms(gateway, lambda: rest.post(EDIT, content=body)) < BOUND_MS


@pytest.mark.parametrize("query", ["a&" * 4_000, "%41=%42&" * 1_000, "a=" + "x" * 8_000, "a&" * 15_000])
def test_a_long_query_costs_little(gateway: Gateway, rest: httpx.Client, query: str) -> None:
    answers = []

    assert cheapest_ms(gateway, lambda: answers.append(rest.get(f"{LIST}?{query}"))) < BOUND_MS / 2

    assert {answer.status_code for answer in answers} <= {400, 431}
    error_of(answers[0])


@pytest.mark.parametrize(
    ("body", "problem"),
    [
        (members(str), "holds more than 1024 members and elements"),
        (elements("1", "x"), "holds more than 1024 members and elements"),
        (b'{"a":' * 40 + b"1" + b"}" * 40, "is nested more than 32 levels deep"),
        (b'{"seed":' + b"1" * 70 + b"}", "holds a number of more than 64 characters"),
    ],
)
def test_a_bound_that_is_passed_is_named(rest: httpx.Client, body: bytes, problem: str) -> None:
    response = rest.post(EDIT, content=body)

    assert response.status_code == 400
    assert error_of(response)["message"] == f"body: {problem}"


def test_many_query_parameters_are_refused(rest: httpx.Client) -> None:
    response = rest.get(LIST + "?" + "&".join(f"pageSize={index}" for index in range(70)))

    assert response.status_code == 400
    assert "pageSize: is given twice" in error_of(response)["message"]
