"""The service as `compose.yaml` sets it up, with the parts around it run from their wheels: no Docker is here.

What the file says of images, volumes and limits is not tried; the settings, the command, the keys and the migration
are.
"""

import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest
import yaml

from tests.deploy.charts import DEPLOY
from tests.real_parts.gcs import fake_gcs, make_bucket
from tests.real_parts.postgres import shared_postgres
from tests.service import Service, running_service

COMPOSE: dict[str, Any] = yaml.safe_load((DEPLOY / "compose.yaml").read_text())
LIMNER: dict[str, Any] = COMPOSE["services"]["limner"]


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """The file's environment, with the names of its services replaced by addresses of this machine."""
    keys, data = tmp_path_factory.mktemp("keys"), tmp_path_factory.mktemp("data")
    environment = dict(LIMNER["environment"])
    # Without a collector here nothing may be sent anywhere.
    endpoint = environment.pop("OTEL_EXPORTER_OTLP_ENDPOINT")
    assert urlsplit(endpoint).hostname in COMPOSE["services"]
    jwks = keys / Path(environment["LIMNER_AUTH_JWKS"]).name
    jwks.write_text(_limner(keys, *_command(COMPOSE["services"]["jwks"])))
    with fake_gcs(tmp_path_factory.mktemp("gcs")) as emulator:
        make_bucket(emulator, urlsplit(environment["LIMNER_STORAGE"]).netloc)
        environment |= {
            "LIMNER_DATABASE_URL": shared_postgres().new_database(),
            "STORAGE_EMULATOR_HOST": emulator,
            "LIMNER_AUTH_JWKS": str(jwks),
            "LIMNER_METRICS_PORT": "0",
        }
        arguments = [str(each) for each in LIMNER["command"][1:]]
        with running_service(data, *arguments, env=environment) as running:
            yield Service(keys, running.process, running.grpc_address, running.http_address, running.log)


def test_a_picture_is_made_and_kept_in_the_bucket(service: Service) -> None:
    with service.rest() as client:
        made = client.post("/v1/workspaces/acme/image-generation-tasks", json={"prompt": "a red apple"})
        assert made.status_code == 200, made.text
        (image,) = made.json()["images"]
        content = client.get(image["_links"]["content"])
    assert content.status_code == 200
    assert len(content.content) == image["imageSize"]


def test_the_key_of_the_tools_is_the_only_one_that_counts(service: Service) -> None:
    """The `keys` service prints tokens by the same folder, so its data directory must be the keys' volume."""
    tools = COMPOSE["services"]["keys"]
    folders = {each.split(":")[0]: each.split(":")[1] for each in tools["volumes"]}
    assert tools["environment"]["LIMNER_DATA_DIR"] == folders["keys"]
    token = _limner(service.data_dir, "token", "--user", "eve", "--workspace", "acme").strip()
    address = f"http://{service.http_address}/v1/workspaces/acme/images"
    assert httpx.get(address, headers={"authorization": f"Bearer {token}"}).status_code == 200
    assert httpx.get(address, headers={"authorization": f"Bearer {token}x"}).status_code == 401


def test_prometheus_finds_the_service_where_it_looks(service: Service) -> None:
    scraped = yaml.safe_load((DEPLOY / "prometheus" / "prometheus.yml").read_text())["scrape_configs"][0]
    (target,) = scraped["static_configs"][0]["targets"]
    name, port = target.split(":")
    assert (name in COMPOSE["services"], port) == (True, LIMNER["environment"]["LIMNER_METRICS_PORT"])
    page = httpx.get(_metrics_address(service)).text
    assert "limner_workers 2.0" in page


def test_it_is_given_longer_to_end_than_it_takes() -> None:
    assert float(LIMNER["stop_grace_period"].removesuffix("s")) > 30


def test_every_folder_that_it_mounts_is_there() -> None:
    mounted = [each.split(":")[0] for one in COMPOSE["services"].values() for each in one.get("volumes", [])]
    assert all((DEPLOY / each).exists() if each.startswith("./") else each in COMPOSE["volumes"] for each in mounted)


def _command(service: dict[str, Any]) -> list[str]:
    """Return what a `sh -c "limner … > file"` runs."""
    arguments: list[str]
    program, *arguments = service["entrypoint"][-1].partition(">")[0].split()
    assert program == "limner"
    return arguments


def _limner(data_dir: Path, *arguments: str) -> str:
    environment = {"LIMNER_DATA_DIR": str(data_dir)}
    command = [sys.executable, "-m", "limner", *arguments]
    return subprocess.run(command, env=environment, check=True, capture_output=True, text=True).stdout


def _metrics_address(service: Service) -> str:
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        for record in service.records():
            if record["message"] == "metrics are served":
                return str(record["address"])
        time.sleep(0.02)
    raise AssertionError("no metrics are served")
