"""``make run`` beside whatever else runs on this machine."""

import socket

import pytest

from tools.demo import next_free


def listening() -> socket.socket:
    server = socket.socket()
    server.bind(("127.0.0.1", 0))
    server.listen()
    return server


def test_a_port_that_is_free_is_taken_without_a_word(capsys: pytest.CaptureFixture[str]) -> None:
    with listening() as server:
        port = server.getsockname()[1]
    assert next_free(port) == port
    assert capsys.readouterr().out == ""


def test_a_port_in_use_gives_way_to_the_next_free_one_and_says_so(capsys: pytest.CaptureFixture[str]) -> None:
    with listening() as server:
        port = server.getsockname()[1]
        taken = next_free(port)
    assert taken > port
    assert capsys.readouterr().out == f"Port {port} is in use, so this takes {taken}.\n"
