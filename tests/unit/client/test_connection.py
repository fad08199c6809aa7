import pytest

from limner.client.connection import Address, call_metadata, new_request_id, parse_address


@pytest.mark.parametrize(
    ("server", "target", "tls"),
    [
        ("127.0.0.1:50051", "127.0.0.1:50051", False),
        ("localhost", "localhost:50051", False),
        ("[::1]:7000", "[::1]:7000", False),
        ("images.example.com", "images.example.com:50051", True),
        ("images.example.com:7000", "images.example.com:7000", True),
        ("grpc://images:7000", "images:7000", False),
        ("grpcs://127.0.0.1:7000", "127.0.0.1:7000", True),
        ("http://localhost:8080", "localhost:8080", False),
        ("https://images.example.com", "images.example.com:443", True),
        ("https://images.example.com/", "images.example.com:443", True),
        ("unix:/run/limner.sock", "unix:/run/limner.sock", False),
    ],
)
def test_an_address_says_where_and_whether_by_tls(server: str, target: str, tls: bool) -> None:
    address = parse_address(server)

    assert (address.target, address.tls) == (target, tls)


@pytest.mark.parametrize("tls", [True, False])
def test_the_tls_argument_overrules_the_address(tls: bool) -> None:
    assert parse_address("grpc://images:7000", tls).tls is tls
    assert parse_address("grpcs://images:7000", tls).tls is tls


@pytest.mark.parametrize(
    "server", ["", "ftp://images", "https://images/v1", "images:port", "images:99999", "grpc://ada:pw@images", ":50051"]
)
def test_what_is_no_address_is_refused(server: str) -> None:
    with pytest.raises(ValueError):
        parse_address(server)


def test_only_this_machine_is_reached_without_a_proxy() -> None:
    no_proxy = ("grpc.enable_http_proxy", 0)

    assert no_proxy in parse_address("127.0.0.1:1").channel_options
    assert no_proxy not in parse_address("images.example.com").channel_options


def test_a_token_goes_along_with_a_request_id() -> None:
    metadata = dict(call_metadata(" a.b.c\n", "4711"))

    assert metadata == {"authorization": "Bearer a.b.c", "x-request-id": "4711"}


def test_without_a_token_nothing_claims_to_be_one() -> None:
    assert "authorization" not in dict(call_metadata("", "4711"))


@pytest.mark.parametrize("token", ["two words", "line\nbreak", "ümlaut", "nul\0"])
def test_a_broken_token_is_refused_without_being_shown(token: str) -> None:
    with pytest.raises(ValueError) as caught:
        call_metadata(token, "4711")

    assert token not in str(caught.value)


def test_request_ids_differ() -> None:
    assert new_request_id() != new_request_id()


def test_no_credentials_without_tls() -> None:
    assert Address("images:1", tls=False).credentials(None) is None
    assert Address("images:1", tls=True).credentials(None) is not None
