from collections.abc import Iterator, Mapping
from typing import Protocol

import pytest
from click.testing import CliRunner, Result

from limner.cli.main import cli
from tests.standin import TOKEN, WORKSPACE, StandIn


class Limner(Protocol):
    """Runs the command line, off a terminal."""

    def __call__(self, *arguments: str, env: Mapping[str, str] | None = None, stdin: str = "") -> Result:
        """Return what it printed and how it ended."""


@pytest.fixture
def service() -> Iterator[StandIn]:
    with StandIn() as service:
        yield service


@pytest.fixture
def limner(service: StandIn) -> Limner:
    connection = {"LIMNER_SERVER": service.address, "LIMNER_TOKEN": TOKEN, "LIMNER_WORKSPACE": WORKSPACE}

    def run(*arguments: str, env: Mapping[str, str] | None = None, stdin: str = "") -> Result:
        result = CliRunner().invoke(cli, arguments, env={**connection, **(env or {})}, input=stdin)
        assert TOKEN not in result.output
        assert "\x1b" not in result.output
        assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
        return result

    return run
