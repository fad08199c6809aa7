"""TLS on both doors: who the service is, whose clients it lets in, and certificates that are replaced meanwhile."""

import ssl
from collections.abc import Iterator
from pathlib import Path

import grpc
import httpx
import pytest
from imageservice.v1 import image_service_pb2, image_service_pb2_grpc

from limner.settings import Settings, SettingsError
from tests.e2e.test_breakers import until
from tests.real_parts.authority import Authority
from tests.service import Service, running_service


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory, authority: Authority) -> Iterator[Service]:
    with running_service(tmp_path_factory.mktemp("tls"), env=settings(authority)) as service:
        yield service


@pytest.fixture(scope="module")
def mutual(tmp_path_factory: pytest.TempPathFactory, authority: Authority) -> Iterator[Service]:
    env = settings(authority, "mutual") | {"LIMNER_TLS_CLIENT_CA": str(authority.cert)}
    with running_service(tmp_path_factory.mktemp("mutual"), "--workers", "2", env=env) as service:
        yield service


def settings(authority: Authority, name: str = "server") -> dict[str, str]:
    cert, key = authority.issue(name)
    return {"LIMNER_TLS_CERT": str(cert), "LIMNER_TLS_KEY": str(key)}


def models_by_grpc(service: Service, authority: Authority, client: tuple[Path, Path] | None = None) -> list[str]:
    roots = authority.cert.read_bytes()
    chain, key = (path.read_bytes() for path in client) if client else (None, None)
    credentials = grpc.ssl_channel_credentials(roots, key, chain)
    with grpc.secure_channel(service.grpc_address, credentials) as channel:
        stub = image_service_pb2_grpc.ImageServiceStub(channel)
        answer = stub.ListModels(
            image_service_pb2.ListModelsRequest(), metadata=service.metadata(), timeout=10, wait_for_ready=False
        )
    return [model.id for model in answer.models]


def models_by_rest(service: Service, authority: Authority, client: tuple[Path, Path] | None = None) -> httpx.Response:
    context = ssl.create_default_context(cafile=authority.cert)
    if client is not None:
        context.load_cert_chain(*client)
    headers = {"authorization": f"Bearer {service.token()}"}
    return httpx.get(f"https://{service.http_address}/v1/models", headers=headers, verify=context)


def served(address: str) -> bytes:
    host, _, port = address.rpartition(":")
    return ssl.get_server_certificate((host, int(port))).strip().encode()


def test_both_doors_prove_who_they_are(service: Service, authority: Authority) -> None:
    assert "sketch" in models_by_grpc(service, authority)
    answer = models_by_rest(service, authority)
    assert answer.status_code == 200
    assert "sketch" in [model["id"] for model in answer.json()["models"]]


def test_who_trusts_another_authority_is_not_answered(service: Service, tmp_path: Path) -> None:
    stranger = Authority(tmp_path, "stranger")
    with pytest.raises(httpx.ConnectError, match="CERTIFICATE_VERIFY_FAILED"):
        models_by_rest(service, stranger)
    with pytest.raises(grpc.RpcError):
        models_by_grpc(service, stranger)


def test_nothing_is_answered_in_the_clear(service: Service) -> None:
    with pytest.raises(httpx.HTTPError):
        httpx.get(f"http://{service.http_address}/v1/models")
    with grpc.insecure_channel(service.grpc_address) as channel, pytest.raises(grpc.RpcError):
        stub = image_service_pb2_grpc.ImageServiceStub(channel)
        stub.ListModels(image_service_pb2.ListModelsRequest(), metadata=service.metadata(), timeout=5)


def test_replaced_certificates_are_used_without_a_restart(service: Service, authority: Authority) -> None:
    for address in (service.grpc_address, service.http_address):
        old = served(address)
        cert, _ = authority.issue("server")
        new = cert.read_bytes().strip()
        until(lambda: served(address) == new)  # noqa: B023
        assert new != old
    assert models_by_rest(service, authority).status_code == 200
    assert "sketch" in models_by_grpc(service, authority)


def test_files_that_can_not_be_used_change_nothing(service: Service, authority: Authority) -> None:
    cert, _ = authority.issue("server")
    for address in (service.http_address, service.grpc_address):
        until(lambda: served(address) == cert.read_bytes().strip())  # noqa: B023
    whole = cert.read_bytes()
    cert.write_bytes(whole[: len(whole) // 2])

    until(lambda: any("TLS files can't be used" in str(record["message"]) for record in service.records()))
    assert served(service.http_address) == whole.strip()
    assert served(service.grpc_address) == whole.strip()
    cert.write_bytes(whole)


def test_mutual_tls_lets_in_whose_certificate_the_authority_signed(mutual: Service, authority: Authority) -> None:
    client = authority.issue("client")
    assert "sketch" in models_by_grpc(mutual, authority, client)
    assert models_by_rest(mutual, authority, client).status_code == 200


def test_mutual_tls_lets_nobody_else_in(mutual: Service, authority: Authority, tmp_path: Path) -> None:
    strangers = Authority(tmp_path, "stranger").issue("client")
    for client in (None, strangers):
        with pytest.raises(httpx.HTTPError):
            models_by_rest(mutual, authority, client)
        with pytest.raises(grpc.RpcError):
            models_by_grpc(mutual, authority, client)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"LIMNER_TLS_KEY": ""}, "one is nothing without the other"),
        ({"LIMNER_TLS_CERT": "nowhere.pem"}, "nowhere.pem can't be read"),
        ({"LIMNER_TLS_CERT": "", "LIMNER_TLS_KEY": "", "LIMNER_TLS_CLIENT_CA": "ca.pem"}, "needs LIMNER_TLS_CERT"),
    ],
)
def test_settings_that_make_no_sense_stop_the_start(change: dict[str, str], said: str, authority: Authority) -> None:
    with pytest.raises(SettingsError, match=said):
        Settings.read(settings(authority, "other") | change)


def test_a_key_of_another_certificate_stops_the_start(authority: Authority) -> None:
    _, other = authority.issue("another")
    with pytest.raises(SettingsError, match="no certificate and its key"):
        Settings.read(settings(authority, "other") | {"LIMNER_TLS_KEY": str(other)})
