import subprocess
import sys

import click
from click.testing import CliRunner

from limner.cli.main import SECTIONS, cli


def test_each_line_of_the_help_is_that_of_its_command() -> None:
    context = click.Context(cli)
    for entries in SECTIONS.values():
        for name, entry in entries.items():
            command = cli.get_command(context, name)
            assert command is not None
            assert (command.help or "").split("\n\n")[0] == entry.help


def test_help_lists_every_command() -> None:
    result = CliRunner().invoke(cli, ["--help"])

    assert result.exit_code == 0
    for entries in SECTIONS.values():
        for name in entries:
            assert f"  {name} " in result.output


def test_an_unknown_command_is_wrong_usage() -> None:
    result = CliRunner().invoke(cli, ["paint"])

    assert (result.exit_code, "No such command 'paint'" in result.stderr) == (2, True)


def test_the_version_is_printed() -> None:
    assert CliRunner().invoke(cli, ["--version"], prog_name="limner").output.startswith("limner ")


def test_help_imports_neither_grpc_nor_rich() -> None:
    assert loaded_by("--help").isdisjoint({"grpc", "google.protobuf", "rich", "sqlalchemy"})


def test_commands_of_the_client_import_nothing_of_the_server() -> None:
    rooms = {"app", "auth", "domain", "gateway", "models", "persistence", "rpc", "service", "settings", "storage"}

    assert loaded_by("generate", "--help").isdisjoint({f"limner.{room}" for room in rooms})


def loaded_by(*arguments: str) -> set[str]:
    program = (
        "import sys, limner.cli.main as m\n"
        f"sys.argv[1:] = {list(arguments)!r}\n"
        "try: m.main()\n"
        "except SystemExit: print(*sys.modules, sep='\\n', file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    return set(done.stderr.split())
