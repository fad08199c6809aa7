"""What a host is."""

import pytest

from limner.outbound.hosts import is_loopback, is_numeric


@pytest.mark.parametrize("host", ["127.0.0.1", "127.1", "127.0.0.1.", "0x7f000001", "2130706433", "::1", "[::1]"])
def test_numeric_addresses_are_told_in_any_spelling(host: str) -> None:
    assert is_numeric(host)


@pytest.mark.parametrize("host", ["example.com", "1and1.com", "a.b.c", "localhost"])
def test_names_are_no_addresses(host: str) -> None:
    assert not is_numeric(host)


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1", "127.9.9.9", "::1", "[::1]"])
def test_this_machine_is_known(host: str) -> None:
    assert is_loopback(host)


@pytest.mark.parametrize("host", ["", "0.0.0.0", "127.1", "2130706433", "localhost.example.com", "10.0.0.1", "::2"])
def test_nothing_else_is_this_machine(host: str) -> None:
    assert not is_loopback(host)
