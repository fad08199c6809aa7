"""Commands of those who run the service. Each imports what it runs when it is asked for."""

import asyncio
import getpass
import json
import logging
import re
from collections.abc import Sequence
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from limner.cli.text import note

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from limner.auth.local_key import LocalKey
    from limner.settings import Settings

_SECONDS: Final = {"s": 1, "m": 60, "h": 3600, "d": 86_400}

_data_dir = click.option(
    "--data-dir",
    type=click.Path(file_okay=False, path_type=Path),
    help="Folder of the embedded database, the pictures and the local key.  [env var: LIMNER_DATA_DIR]",
)


class DurationType(click.ParamType[timedelta]):
    """A time such as ``30s``, ``15m``, ``1h`` or ``7d``."""

    name = "duration"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> timedelta:
        """Read the text."""
        match = re.fullmatch(r"([1-9]\d{0,8})([smhd])", str(value))
        if match is None:
            self.fail(f"{value!r} is no duration such as 30s, 15m, 1h or 7d", param, ctx)
        return timedelta(seconds=int(match[1]) * _SECONDS[match[2]])


@click.command()
@_data_dir
@click.option("--host", help="Address to listen on.  [default: 127.0.0.1]")
@click.option("--grpc-port", type=click.IntRange(0, 65_535), help="Port of gRPC; 0 for a free one.  [default: 50051]")
@click.option("--http-port", type=click.IntRange(0, 65_535), help="Port of REST; 0 for a free one.  [default: 8080]")
@click.option("--workers", type=click.IntRange(1), help="Processes that answer calls.  [default: 1]")
@click.option("--metrics-port", type=click.IntRange(0, 65_535), help="Port of metrics; 0 for a free one.")
@click.option("--no-gateway", is_flag=True, help="gRPC only, without Envoy.")
def serve(no_gateway: bool, **overrides: Any) -> None:
    """Run the service: gRPC, and Envoy in front of it.

    Prints a line when it is ready. SIGTERM lets running work end, and then the service.
    """
    settings = _settings(**overrides)
    import limner.serve
    from limner.settings import mistyped
    from limner.telemetry import logging_to_stderr

    service = limner.serve.serve(settings, with_gateway=not no_gateway, announce=click.echo)
    with _told(limner.serve.StartError, OSError), logging_to_stderr(settings.log_level):
        for mistake in mistyped():
            logging.getLogger("limner.settings").warning(mistake)
        asyncio.run(service)


@click.command()
@_data_dir
@click.option("--user", required=True, help="The user's id.")
@click.option("--workspace", "workspaces", multiple=True, help="A workspace that the user is a member of; repeatable.")
@click.option("--admin", is_flag=True, help="The user is an admin everywhere.")
@click.option("--ttl", type=DurationType(), default="1h", show_default=True, help="How long it is valid.")
def token(data_dir: Path | None, user: str, workspaces: Sequence[str], admin: bool, ttl: timedelta) -> None:
    """Print an access token that the local key signs.

    Only a service that has no other keys accepts it.
    """
    if not workspaces and not admin:
        raise click.UsageError("Missing option '--workspace'.")
    from limner.service.caller import Role

    _note_new_key(data_dir)
    with _local_key(data_dir) as key:
        click.echo(key.issue(user, dict.fromkeys(workspaces, Role.MEMBER), admin=admin, ttl=ttl))


@click.command()
@_data_dir
@click.option("--user", default=getpass.getuser, help="The user's id.  [default: the name that you are logged in by]")
@click.option("--workspace", envvar="LIMNER_WORKSPACE", required=True, show_envvar=True, help="The workspace.")
@click.option("--ttl", type=DurationType(), default="12h", show_default=True, help="How long the token is valid.")
@click.option("--url", help="Where REST answers.  [default: LIMNER_PUBLIC_URL, or the host and port of the settings]")
def console(data_dir: Path | None, user: str, workspace: str, ttl: timedelta, url: str | None) -> None:
    """Print the console's address, with an access token in it that the local key signs.

    For a browser: who opens the address is that user. The token is in the part that browsers send to nobody, and the
    page takes it out of the address.
    """
    from urllib.parse import quote, urlsplit

    from limner.service.caller import Role

    base = (url or _rest_address(_settings(data_dir=data_dir))).rstrip("/")
    if urlsplit(base).scheme not in ("http", "https") or not urlsplit(base).netloc:
        raise click.BadParameter(f"{base!r} is no address such as http://127.0.0.1:8080", param_hint="--url")
    _note_new_key(data_dir)
    with _local_key(data_dir) as key:
        token = key.issue(user, {workspace: Role.MEMBER}, ttl=ttl)
    click.echo(f"{base}/console#token={token}&workspace={quote(workspace, safe='')}")


def _rest_address(settings: "Settings") -> str:
    """Return where a browser on this machine finds REST."""
    if settings.public_url:
        return settings.public_url
    if settings.http_port == 0:
        raise click.UsageError("Missing option '--url': the settings leave the port of REST open.")
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(settings.host, settings.host)  # noqa: S104
    scheme = "https" if settings.tls else "http"
    return f"{scheme}://{f'[{host}]' if ':' in host else host}:{settings.http_port}"


@click.command()
@_data_dir
@click.option("--create", is_flag=True, help="Make the key when there is none.")
def jwks(data_dir: Path | None, create: bool) -> None:
    """Print the local key's public half as a key set.

    For a service on another machine, or in a container, that is to accept its tokens: LIMNER_AUTH_JWKS.
    """
    from limner.auth.local_key import LocalKey

    if not create and not LocalKey.is_in(folder := _settings(data_dir=data_dir).data_dir):
        raise click.ClickException(f"There is no local key in {folder}; --create makes one.")
    with _local_key(data_dir) as key:
        click.echo(key.public_keys())


def _note_new_key(data_dir: Path | None) -> None:
    """Tell that a token is signed by a key that no service knows yet: often a folder was mistaken."""
    from limner.auth.local_key import LocalKey

    if not LocalKey.is_in(folder := _settings(data_dir=data_dir).data_dir):
        note(f"No service has run in {folder} yet: a new key is made there. Is it the service's --data-dir?")


@contextmanager
def _local_key(data_dir: Path | None) -> "Iterator[LocalKey]":
    """Give the local key, made when it is missing."""
    settings = _settings(data_dir=data_dir)
    from limner.auth.claims import ClaimNames
    from limner.auth.local_key import LocalKey, LocalKeyError

    with _told(LocalKeyError, OSError, ValueError):
        names = ClaimNames(
            user=settings.auth_user_claim,
            workspaces=settings.auth_workspaces_claim,
            admin=settings.auth_admin_claim,
        )
        yield LocalKey.of_directory(
            settings.data_dir, claim_names=names, issuer=settings.auth_issuer, audience=settings.auth_audience
        )


@click.command()
@_data_dir
def migrate(data_dir: Path | None) -> None:
    """Bring the database to the newest schema."""
    settings = _settings(data_dir=data_dir)
    from limner.app import database_url
    from limner.domain.errors import LimnerError
    from limner.persistence import schema

    with _told(LimnerError):
        schema.migrate(database_url(settings))


@click.group()
def gateway() -> None:
    """Work with an Envoy of your own."""


@gateway.command()
@_data_dir
def config(data_dir: Path | None) -> None:
    """Print an Envoy configuration that puts REST in front of the service."""
    settings = _settings(data_dir=data_dir)
    from limner.gateway.config import gateway_config
    from limner.gateway.options import GatewayOptions

    options = GatewayOptions(
        host=settings.host,
        port=settings.http_port,
        upstreams=[f"{settings.host}:{settings.grpc_port}"],
        web_upstreams=[] if settings.web_port is None else [f"{settings.host}:{settings.web_port}"],
        silence_timeout_s=settings.request_timeout_s,
        cors_origins=settings.cors_origins,
        tls=settings.tls,
    )
    click.echo(json.dumps(gateway_config(options), indent=2))


@click.command()
@_data_dir
@click.option("--repair", is_flag=True, help="Compare all pictures with all rows, and mend what can be mended.")
@click.pass_context
def doctor(context: click.Context, data_dir: Path | None, repair: bool) -> None:
    """Check settings, database, storage and models, in plain words.

    Ends with 1 when something is wrong.
    """
    settings = _settings(data_dir=data_dir)
    from limner.doctor import examine

    context.exit(examine(settings, repair=repair))


@click.command()
@_data_dir
@click.argument("workspace")
@click.option("--images", type=click.IntRange(0), help="Most images per month.")
@click.option("--usd", type=click.FloatRange(0), help="Most money per month, in US dollars.")
@click.option("--unlimited", is_flag=True, help="No limit at all, whatever the settings say.")
@click.option("--clear", is_flag=True, help="Back to the limits of the settings.")
def quota(data_dir: Path | None, workspace: str, **wanted: Any) -> None:
    """Show the quota of a workspace, or give it one of its own."""
    settings = _settings(data_dir=data_dir)
    from limner.domain.errors import LimnerError
    from limner.quotas import change_quota

    if sum(bool(wanted[name]) for name in ("unlimited", "clear")) + _is_given(wanted) > 1:
        raise click.UsageError("--images and --usd, --unlimited and --clear exclude each other.")
    _require_database(settings)
    with _told(LimnerError):
        click.echo(asyncio.run(change_quota(settings, workspace, **wanted)))


@click.command()
@_data_dir
@click.argument("workspace")
@click.option("--days", type=click.IntRange(1), help="Delete images that are older.")
@click.option("--forever", is_flag=True, help="Keep images until they are deleted, whatever the settings say.")
@click.option("--clear", is_flag=True, help="Back to the time of the settings.")
def retention(data_dir: Path | None, workspace: str, **wanted: Any) -> None:
    """Show how long a workspace keeps its images, or give it a time of its own.

    Older images are deleted as by their owner within minutes, for good.
    """
    settings = _settings(data_dir=data_dir)
    from limner.domain.errors import LimnerError
    from limner.retentions import change_retention

    if sum((bool(wanted["forever"]), bool(wanted["clear"]), wanted["days"] is not None)) > 1:
        raise click.UsageError("--days, --forever and --clear exclude each other.")
    _require_database(settings)
    with _told(LimnerError):
        click.echo(asyncio.run(change_retention(settings, workspace, **wanted)))


def _require_database(settings: "Settings") -> None:
    """End the command where no service has run: the answer would be about a database that nobody uses."""
    from limner.app import missing_database

    if file := missing_database(settings):
        raise click.ClickException(f"There is no database at {file}: limner serve makes it, or limner migrate.")


def _is_given(wanted: "Mapping[str, Any]") -> bool:
    return wanted["images"] is not None or wanted["usd"] is not None


def _settings(**overrides: Any) -> "Settings":
    from limner.settings import Settings, SettingsError

    try:
        return Settings.read(**overrides)
    except SettingsError as error:
        raise click.UsageError("\n".join(error.faults)) from error


@contextmanager
def _told(*faults: type[Exception]) -> "Iterator[None]":
    """Turn faults whose text is meant for the operator into the command's one-line error."""
    try:
        yield
    except faults as error:
        raise click.ClickException(str(error)) from error
