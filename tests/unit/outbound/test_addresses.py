"""Which addresses may be asked."""

import pytest
from yarl import URL

from limner.models.http.results import ResultAddresses, ResultError
from limner.outbound.addresses import base_address, own_address
from limner.outbound.errors import ForeignAddressError
from limner.outbound.hosts import is_internal, is_public


@pytest.mark.parametrize(
    "address",
    [
        "0.0.0.0", "10.1.2.3", "100.64.0.1", "127.0.0.1", "127.8.8.8", "169.254.169.254", "172.16.0.1", "192.0.0.8",
        "192.0.2.1", "192.168.1.1", "198.18.0.1", "198.51.100.1", "203.0.113.1", "224.0.0.1", "240.0.0.1",
        "255.255.255.255", "::", "::1", "::7f00:1", "::ffff:10.0.0.1", "::ffff:8.8.8.8", "64:ff9b::10.0.0.1",
        "64:ff9b::808:808", "64:ff9b:1::1", "2001::1", "2001:db8::1", "2002:7f00:1::", "2002:808:808::1", "fc00::1",
        "fd00:ec2::254", "fe80::1", "fe80::1%eth0", "fec0::1", "3fff::1", "ff02::1", "localhost", "", "127.1",
    ],
)  # fmt: skip
def test_inner_addresses_are_not_public(address: str) -> None:
    assert not is_public(address)


@pytest.mark.parametrize(
    ("host", "internal"),
    [
        *((host, True) for host in ("127.0.0.1", "localhost", "[::1]", "10.1.2.3", "gpu", "gpu.lan", "a.b.svc")),
        *((host, False) for host in ("api.openai.com", "8.8.8.8", "internal.example.com", "svc.example.org")),
    ],
)
def test_only_hosts_that_are_surely_ones_own_are_internal(host: str, internal: bool) -> None:
    assert is_internal(host) is internal


@pytest.mark.parametrize("address", ["8.8.8.8", "104.18.0.1", "2606:4700::1111", "2a00:1450:4001::200e"])
def test_addresses_of_the_internet_are_public(address: str) -> None:
    assert is_public(address)


ADDRESSES = ResultAddresses(
    base_url="https://api.vendor.test/v1",
    hosts=["cdn.vendor.test", "*.media.test", "odd.test:8443", "127.0.0.1:9000", "localhost:9001"],
)


@pytest.mark.parametrize(
    "address",
    [
        "https://cdn.vendor.test/a.png?sig=%2Fx%3D",
        "https://CDN.vendor.test/a.png",
        "https://cdn.vendor.test:443/a.png",
        "https://v3.media.test/a.png",
        "https://a.b.media.test/a.png",
        "https://odd.test:8443/a.png",
    ],
)
def test_listed_hosts_may_be_asked_if_they_are_public(address: str) -> None:
    assert ADDRESSES.target(address).public


@pytest.mark.parametrize(
    ("address", "url"),
    [
        ("/v1/images/7/content?variant=1", "https://api.vendor.test/v1/images/7/content?variant=1"),
        ("a.png", "https://api.vendor.test/a.png"),
        ("https://api.vendor.test/x", "https://api.vendor.test/x"),
        ("http://127.0.0.1:9000/x", "http://127.0.0.1:9000/x"),
        ("http://localhost:9001/x", "http://localhost:9001/x"),
        ("http://127.0.0.1:9001/x", "http://127.0.0.1:9001/x"),
        ("http://[::1]:9001/x", "http://[::1]:9001/x"),
        ("http://localhost:9000/x", "http://localhost:9000/x"),
    ],
)
def test_what_the_operator_wrote_may_be_asked_wherever_it_is(address: str, url: str) -> None:
    target = ADDRESSES.target(address)
    assert (str(target.url), target.public) == (url, False)


@pytest.mark.parametrize(
    "address",
    [
        "http://cdn.vendor.test/a.png",
        "https://media.test/a.png",
        "https://evilmedia.test/a.png",
        "https://cdn.vendor.test.evil.test/",
        "https://cdn.vendor.test:8443/",
        "https://odd.test/",
        "https://user@cdn.vendor.test/",
        "https://user:word@cdn.vendor.test/",
        "https://@cdn.vendor.test/",
        "https://cdn.vendor.test\\@evil.test/",
        "https://evil.test#@cdn.vendor.test/",
        "https://evil.test?@cdn.vendor.test/",
        "//evil.test/a.png",
        "https://8.8.8.8/",
        "https://127.0.0.1/",
        "http://127.0.0.1:9002/",
        "http://127.0.0.2:9000/",
        "https://127.1/",
        "https://2130706433/",
        "https://0x7f000001/",
        "https://[::1]/",
        "https://[::1]:9000/",
        "https://[::ffff:127.0.0.1]/",
        "https://[fe80::1%25eth0]/",
        "https://169.254.169.254/latest/meta-data/",
        "http://localhost/",
        "http://api.vendor.test/x",
        "https://api.vendor.test:444/x",
        "https://cdn.vendor.test./",
        "https://cdn。vendor.test/",
        "https://cdn.vendor.test/a b",
        "https://cdn.vendor.test/a\r\nHost: evil.test",
        "https://cdn.vendor.test:port/",
        "https://cdn.vendor.test:99999/",
        "https://[::1/",
        "ftp://cdn.vendor.test/a.png",
        "file:///etc/passwd",
        "gopher://cdn.vendor.test/",
        "javascript:alert(1)",
    ],
)
def test_everything_else_is_refused(address: str) -> None:
    with pytest.raises(ResultError):
        ADDRESSES.target(address)


@pytest.mark.parametrize("address", ["http://127.0.0.1:8088/x", "http://localhost:9000/x", "https://127.0.0.1/x"])
def test_a_loopback_host_without_a_port_may_be_asked_on_any(address: str) -> None:
    target = ResultAddresses(base_url="https://api.vendor.test/v1", hosts=["127.0.0.1"]).target(address)
    assert (str(target.url), target.public) == (address, False)


def test_a_base_address_on_this_machine_goes_by_its_other_names() -> None:
    addresses = ResultAddresses(base_url="http://localhost:8188/v1")
    assert str(addresses.target("http://127.0.0.1:8188/a.png").url) == "http://127.0.0.1:8188/a.png"
    for foreign in ("http://127.0.0.1:8189/a.png", "http://127.0.0.2:8188/a.png", "http://10.0.0.1:8188/a.png"):
        with pytest.raises(ResultError):
            addresses.target(foreign)


def test_a_redirect_is_relative_to_where_it_came_from() -> None:
    target = ADDRESSES.target("/b.png", beside=URL("https://cdn.vendor.test/a/x.png"))
    assert (str(target.url), target.public) == ("https://cdn.vendor.test/b.png", True)


@pytest.mark.parametrize("host", ["https://cdn.test", "cdn.test/path", "user@cdn.test", "", "*.", "cdn test"])
def test_a_pattern_that_is_no_host_is_a_fault(host: str) -> None:
    with pytest.raises(ValueError, match=r".+"):
        ResultAddresses(base_url="https://api.vendor.test", hosts=[host])


@pytest.mark.parametrize(
    "base",
    [
        "http://api.vendor.test/v1",
        "ftp://x",
        "api.vendor.test",
        "https://u:p@api.test",
        "https://a.test?b=c",
        "http://10.0.0.1",
    ],
)
def test_a_base_address_is_https_or_loopback(base: str) -> None:
    with pytest.raises(ValueError, match=r".+"):
        base_address(base)


@pytest.mark.parametrize(
    "base", ["https://api.test/v1", "http://127.0.0.1:8000", "http://localhost:1", "http://[::1]:1/v1"]
)
def test_a_base_address_may_be_a_fake_on_loopback(base: str) -> None:
    assert str(base_address(base)).startswith(base)


BASE = base_address("https://queue.vendor.test/v1")


@pytest.mark.parametrize(
    ("path", "url"),
    [
        ("images/generations", "https://queue.vendor.test/v1/images/generations"),
        ("/models/gemini:generateContent", "https://queue.vendor.test/v1/models/gemini:generateContent"),
        ("//evil.test/x", "https://queue.vendor.test/v1/evil.test/x"),
        ("https://queue.vendor.test/other/7/status?logs=0", "https://queue.vendor.test/other/7/status?logs=0"),
        ("https://queue.vendor.test:443/other", "https://queue.vendor.test/other"),
    ],
)
def test_addresses_of_the_api_stay_at_its_origin(path: str, url: str) -> None:
    own = own_address(BASE, path)
    expected = URL(url)
    assert (own.scheme, own.host, own.port, own.path_qs) == ("https", "queue.vendor.test", 443, expected.path_qs)


@pytest.mark.parametrize(
    "path",
    [
        "https://evil.test/x",
        "http://queue.vendor.test/x",
        "https://queue.vendor.test:8443/x",
        "https://queue.vendor.test@evil.test/x",
        "https://key@queue.vendor.test/x",
        "HTTPS://queue.vendor.test.evil.test/x",
        "https://queue.vendor.test/\r\nx",
    ],
)
def test_an_address_of_another_origin_is_not_the_apis(path: str) -> None:
    with pytest.raises(ForeignAddressError):
        own_address(BASE, path)
