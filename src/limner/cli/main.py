"""The entry point."""

import importlib
import os
from collections.abc import Mapping
from typing import Any, Final, NamedTuple

import click

INTERRUPTED: Final = 130
"""Exit code after Ctrl-C: 128 and the number of SIGINT."""


class _Entry(NamedTuple):
    module: str
    help: str
    """The first line of the command's docstring, here so that ``--help`` imports no command."""


SECTIONS: Final[Mapping[str, Mapping[str, _Entry]]] = {
    "Pictures": {
        "generate": _Entry("tasks", "Make pictures from PROMPT."),
        "edit": _Entry("tasks", "Make pictures from existing ones by PROMPT."),
        "upscale": _Entry("tasks", "Make a picture larger."),
        "show": _Entry("tasks", "Show a generation: its state, its images, its error."),
        "cancel": _Entry("tasks", "Cancel a generation that is running."),
        "upload": _Entry("images", "Keep pictures of your own."),
        "ls": _Entry("images", "List the images of the workspace, newest first."),
        "get": _Entry("images", "Show images, or write them to files with -o."),
        "rm": _Entry("images", "Delete images."),
        "verify": _Entry("marks", "Tell the marks of a file: who signed it, and how it came to be."),
        "models": _Entry("catalogue", "List the models and what they can do."),
        "usage": _Entry("catalogue", "Show what the workspace used this month."),
        "mcp": _Entry("agent", "Serve agents by MCP on standard input and output."),
    },
    "Service": {
        "serve": _Entry("operator", "Run the service: gRPC, and Envoy in front of it."),
        "token": _Entry("operator", "Print an access token that the local key signs."),
        "console": _Entry(
            "operator", "Print the console's address, with an access token in it that the local key signs."
        ),
        "jwks": _Entry("operator", "Print the local key's public half as a key set."),
        "migrate": _Entry("operator", "Bring the database to the newest schema."),
        "quota": _Entry("operator", "Show the quota of a workspace, or give it one of its own."),
        "retention": _Entry("operator", "Show how long a workspace keeps its images, or give it a time of its own."),
        "gateway": _Entry("operator", "Work with an Envoy of your own."),
        "doctor": _Entry("operator", "Check settings, database, storage and models, in plain words."),
    },
}

_ENTRIES: Final = {name: entry for section in SECTIONS.values() for name, entry in section.items()}


class LimnerGroup(click.Group):
    """A group that imports a command's module when the command is asked for."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names of all commands."""
        return list(_ENTRIES)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import a command."""
        if cmd_name not in _ENTRIES:
            return None
        if cmd_name in SECTIONS["Pictures"]:
            # gRPC would write lines of its own beside our error. It reads this once, when it is imported.
            os.environ.setdefault("GRPC_VERBOSITY", "NONE")
        module = importlib.import_module(f"limner.cli.{_ENTRIES[cmd_name].module}")
        command: click.Command = getattr(module, cmd_name)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the list of commands, section by section."""
        for title, entries in SECTIONS.items():
            with formatter.section(title):
                formatter.write_dl([(name, entry.help) for name, entry in entries.items()])

    def invoke(self, ctx: click.Context) -> Any:
        """Run a command; Ctrl-C ends it with the exit code that shells expect."""
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt:
            click.echo("Interrupted.", err=True)
            ctx.exit(INTERRUPTED)


@click.group(cls=LimnerGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="limner", message="%(prog)s %(version)s")
def cli() -> None:
    """Make, edit, upscale and keep pictures; run the service that does."""


def main() -> None:
    """Run the command line and end the process with its exit code."""
    cli(prog_name="limner")
