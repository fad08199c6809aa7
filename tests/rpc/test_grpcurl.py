"""The real grpcurl, by reflection alone, on the gRPC port and through Envoy."""

import base64
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from imageservice.v1 import image_service_pb2 as pb

from tests.pictures import png
from tests.tenant import Tenant

GRPCURL = Path(sys.executable).parent / "grpcurl"
SERVICE = pb.DESCRIPTOR.services_by_name["ImageService"]


@pytest.fixture(params=["grpc_address", "http_address"], ids=["direct", "envoy"])
def address(request: pytest.FixtureRequest, tenant: Tenant) -> str:
    return str(getattr(tenant.service, request.param))


def grpcurl(*arguments: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run([str(GRPCURL), "-plaintext", *arguments], capture_output=True, text=True, timeout=30)


def call(tenant: Tenant, address: str, rpc: str, **request: Any) -> Any:
    header = f"authorization: {dict(tenant.metadata())['authorization']}"
    done = grpcurl("-H", header, "-d", json.dumps(request), address, f"{SERVICE.full_name}/{rpc}")
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_list_shows_the_services_and_their_calls(address: str) -> None:
    services = grpcurl(address, "list").stdout.split()
    methods = grpcurl(address, "list", SERVICE.full_name).stdout.split()

    assert {SERVICE.full_name, "grpc.health.v1.Health"} <= set(services)
    assert set(methods) == {f"{SERVICE.full_name}.{method.name}" for method in SERVICE.methods}


@pytest.mark.parametrize(
    "symbol", ["ImageService", "GenerateImagesRequest", "Image", "ErrorReason", "ImageService.RunTask"]
)
def test_describe_shows_every_kind_of_symbol(address: str, symbol: str) -> None:
    done = grpcurl(address, "describe", f"imageservice.v1.{symbol}")

    assert done.returncode == 0, done.stderr
    assert symbol.split(".")[-1] in done.stdout


def test_a_call_needs_a_token_only(tenant: Tenant, address: str) -> None:
    generated = call(tenant, address, "GenerateImages", workspaceId=tenant.id, prompt="a fox")
    picture = base64.b64encode(png()).decode()
    uploaded = call(tenant, address, "UploadImage", workspaceId=tenant.id, picture={"data": picture})

    assert generated["images"][0]["prompt"] == "a fox"
    assert uploaded["_links"]["content"].endswith(f"{uploaded['id']}/content")


def test_an_error_comes_with_its_details(tenant: Tenant, address: str) -> None:
    done = grpcurl("-d", json.dumps({"workspaceId": tenant.id}), address, f"{SERVICE.full_name}/ListImages")

    assert done.returncode != 0
    assert "Code: Unauthenticated" in done.stderr
    assert "CREDENTIALS_MISSING" in done.stderr


def test_health_is_told_without_a_token(address: str) -> None:
    done = grpcurl("-d", json.dumps({"service": SERVICE.full_name}), address, "grpc.health.v1.Health/Check")

    assert json.loads(done.stdout) == {"status": "SERVING"}


def test_fields_are_printed_by_their_json_names(tenant: Tenant) -> None:
    listed = call(tenant, tenant.service.grpc_address, "GetUsage", workspaceId=tenant.id)
    assert listed["workspaceId"] == tenant.id
