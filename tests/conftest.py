"""One service for most tests over the wire, started once; each test has a workspace of its own in it."""

import signal
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from xdist.scheduler import LoadScopeScheduling

from tests.quarantine import LIST, put_in_quarantine, quarantined
from tests.real_parts.gcs import fake_gcs, make_bucket
from tests.real_parts.postgres import shared_postgres
from tests.service import Service, running_service
from tests.tenant import Tenant, tenant_of

BUCKET = "pictures"
TOLD = "told"

# A shell that runs us in the background has SIGINT ignored, and so would all that we start and interrupt.
signal.signal(signal.SIGINT, signal.default_int_handler)


class FilesTogether(LoadScopeScheduling):  # type: ignore[misc]  # it has no types
    """Shares the work among processes file by file, since the tests of a file share what they started.

    Those of ``purchase`` start everything for themselves, and take the longest.
    """

    def _split_scope(self, nodeid: str) -> str:
        file = nodeid.partition("::")[0]
        return nodeid if file.startswith("tests/purchase/") else file


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    put_in_quarantine(items, quarantined(LIST.read_text().splitlines()))


def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> FilesTogether:
    return FilesTogether(config, log)


@pytest.fixture
def tell(record_property: Callable[[str, object], None]) -> Callable[[str], None]:
    """Say something that is worth reading even when the test passes: the run's last lines show it."""

    def say(text: str) -> None:
        print(text, flush=True)
        record_property(TOLD, text)

    return say


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    reports = [
        report for how in ("passed", "failed", "xfailed", "xpassed") for report in terminalreporter.getreports(how)
    ]
    for report in reports:
        if told := [str(text) for name, text in report.user_properties if name == TOLD]:
            terminalreporter.write_line(f"{report.nodeid}: {', '.join(told)}")


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
