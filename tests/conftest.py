"""One service for most tests over the wire, started once; each test has a workspace of its own in it."""

import signal
from collections.abc import Iterator

import pytest

from tests.real_parts.gcs import fake_gcs, make_bucket
from tests.real_parts.postgres import shared_postgres
from tests.service import Service, running_service
from tests.tenant import Tenant, tenant_of

BUCKET = "pictures"

# A shell that runs us in the background has SIGINT ignored, and so would all that we start and interrupt.
signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="session")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """`limner serve` with everything embedded: SQLite, files, sketch and Real-ESRGAN, Envoy in front."""
    with running_service(tmp_path_factory.mktemp("embedded")) as service:
        yield service


@pytest.fixture(scope="session")
def hosted_service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """`limner serve` on PostgreSQL and Google Cloud Storage."""
    with fake_gcs(tmp_path_factory.mktemp("gcs")) as emulator:
        make_bucket(emulator, BUCKET)
        settings = {
            "LIMNER_DATABASE_URL": shared_postgres().new_database(),
            "LIMNER_STORAGE": f"gs://{BUCKET}/some/prefix",
            "STORAGE_EMULATOR_HOST": emulator,
        }
        with running_service(tmp_path_factory.mktemp("hosted"), env=settings) as service:
            yield service


@pytest.fixture
def tenant(service: Service) -> Iterator[Tenant]:
    with tenant_of(service) as tenant:
        yield tenant
