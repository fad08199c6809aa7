"""The connection that a command works over, and how a failed call ends the command."""

import functools
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Final

import click

from limner.cli.text import one_line
from limner.client import Client, DeadlineExceededError, LimnerClientError, UnauthenticatedError, UnavailableError
from limner.client.connection import DEFAULT_SERVER, parse_address

_SERVER: Final = click.option(
    "--server",
    envvar="LIMNER_SERVER",
    default=DEFAULT_SERVER,
    show_default=True,
    show_envvar=True,
    help="host:port, or grpcs://host:port. TLS is used for other machines than this, unless grpc:// says no.",
)
_TOKEN: Final = click.option(
    "--token",
    envvar="LIMNER_TOKEN",
    default="",
    show_envvar=True,
    help="Access token. Better in the environment: others see the command line.",
)


class CallFailedError(click.ClickException):
    """A call failed; its message is one line in plain words."""

    exit_code = 1


def with_client(*, workspace_needed: bool = True) -> Callable[[Callable[..., None]], Any]:
    """Give a command the options of a connection, and a client as its first argument."""

    def decorate(function: Callable[..., None]) -> Any:
        @functools.wraps(function)
        def command(*, server: str, token: str, workspace: str, **arguments: Any) -> None:
            with connected(server, token, workspace) as client:
                function(client, **arguments)

        return with_connection(workspace_needed=workspace_needed)(command)

    return decorate


def with_connection(*, workspace_needed: bool = True) -> Callable[[Callable[..., None]], Any]:
    """Give a command the options of a connection."""
    workspace_option = click.option(
        "--workspace",
        envvar="LIMNER_WORKSPACE",
        default="",
        show_envvar=True,
        help="The workspace." if workspace_needed else "Not needed here.",
    )

    def decorate(function: Callable[..., None]) -> Any:
        @functools.wraps(function)
        def command(*, workspace: str, **arguments: Any) -> None:
            if workspace_needed and not workspace:
                raise click.UsageError("Missing option '--workspace' (or LIMNER_WORKSPACE).")
            function(workspace=workspace, **arguments)

        return _SERVER(_TOKEN(workspace_option(command)))

    return decorate


@contextmanager
def connected(server: str, token: str, workspace: str) -> Iterator[Client]:
    """Yield a client; its errors end the command with exit code 1."""
    try:
        client = Client(server, token=token, workspace=workspace)
    except ValueError as error:
        raise click.UsageError(one_line(str(error))) from error
    with client:
        try:
            yield client
        except LimnerClientError as error:
            raise CallFailedError(_in_plain_words(error, server)) from error


def _in_plain_words(error: LimnerClientError, server: str) -> str:
    notes = [error.reason or error.code.name]
    if error.request_id:
        notes.append(f"request {error.request_id}")
    return one_line(f"{_what_happened(error, server)} ({', '.join(notes)}){_what_next(error)}")


def _what_next(error: LimnerClientError) -> str:
    """Return how to get at what may have been made; nothing where nothing can have been."""
    ways = [f"limner show {error.generation_id}"] if error.generation_id else []
    if error.advice and error.idempotency_key:
        ways.append(f"or repeat with --idempotency-key {error.idempotency_key}, which never buys twice")
    return f" {', '.join(ways)}" if ways else ""


def _what_happened(error: LimnerClientError, server: str) -> str:
    if not error.reason and isinstance(error, UnavailableError):
        address = parse_address(server)
        return (
            f"No answer from {address.target} {'with' if address.tls else 'without'} TLS. Does the service run there?"
        )
    if not error.reason and isinstance(error, DeadlineExceededError):
        return "The service did not answer in time."
    if isinstance(error, UnauthenticatedError):
        return f"{error.message} Set LIMNER_TOKEN."
    if error.retry_after_s is not None:
        return f"{error.message} Try again in {error.retry_after_s:g} s."
    return error.message
