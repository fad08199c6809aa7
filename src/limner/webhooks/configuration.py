"""The file of the webhooks.

[[webhooks]]
workspace = "acme"
url = "https://example.com/limner"
secret_env = "ACME_WEBHOOK_SECRET"  # never the secret itself
"""

import os
import tomllib
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

from limner.domain import limits
from limner.outbound.hosts import is_loopback, is_numeric
from limner.webhooks.signature import read_secret

_MAX_FILE_BYTES: Final = limits.MIB
_FIELDS: Final = ("workspace", "url", "secret_env")


class WebhooksError(Exception):
    """The file is wrong; ``faults`` has a line for each fault."""

    def __init__(self, faults: Sequence[str]) -> None:
        super().__init__("\n".join(faults))
        self.faults = tuple(faults)


@dataclass(frozen=True, slots=True, kw_only=True)
class Webhook:
    """Where the events of one workspace go."""

    workspace: str
    url: str
    """https of a host name, or http of a loopback address."""
    secrets: tuple[bytes, ...] = field(repr=False)
    """The first is in use; while it replaces another one, that one follows."""

    @property
    def public(self) -> bool:
        """Whether it must lead to a public address."""
        return self.url.startswith("https:")


def configured_webhooks(path: Path, environment: Mapping[str, str] = os.environ) -> tuple[Webhook, ...]:
    """Return the webhooks of the file; raise ``WebhooksError`` with everything that is wrong with it."""
    tables = _tables(path)
    faults = [
        f"{path}: {_name(table, number)}: {fault}"
        for number, table in enumerate(tables, 1)
        for fault in _faults(table, environment)
    ]
    names = Counter(str(table["workspace"]) for table in tables if table.get("workspace"))
    faults += [f"{path}: workspace {name} has two webhooks" for name, count in names.items() if count > 1]
    if faults:
        raise WebhooksError(faults)
    return tuple(_webhook(table, environment) for table in tables)


def _tables(path: Path) -> list[dict[str, Any]]:
    try:
        if path.stat().st_size > _MAX_FILE_BYTES:
            raise WebhooksError([f"{path} is too large"])
        document = tomllib.loads(path.read_text())
    except (OSError, ValueError) as error:
        raise WebhooksError([f"{path}: {error}"]) from error
    tables = document.get("webhooks")
    if len(document) != 1 or not isinstance(tables, list) or not all(isinstance(each, dict) for each in tables):
        raise WebhooksError([f"{path}: there must be [[webhooks]], and nothing else"])
    return tables


def _name(table: Mapping[str, Any], number: int) -> str:
    return f"webhook {number} ({table['workspace']})" if table.get("workspace") else f"webhook {number}"


def _webhook(table: Mapping[str, Any], environment: Mapping[str, str]) -> Webhook:
    secrets = environment[table["secret_env"]].split()
    return Webhook(
        workspace=table["workspace"], url=table["url"], secrets=tuple(read_secret(secret) for secret in secrets)
    )


def _faults(table: Mapping[str, Any], environment: Mapping[str, str]) -> Iterator[str]:
    yield from (f"there is no setting {name}" for name in table if name not in _FIELDS)
    for name in _FIELDS:
        value = table.get(name)
        if not isinstance(value, str) or not value:
            yield f"{name} is missing" if name not in table else f"{name} must be a text"
        elif fault := _fault(name, value, environment):
            yield fault


def _fault(name: str, value: str, environment: Mapping[str, str]) -> str:
    """Return what is wrong with a value; empty when nothing is."""
    try:
        if name == "url":
            _check_url(value)
        elif name == "secret_env":
            _check_secrets(environment.get(value, ""))
        elif len(value) > limits.MAX_IDENTIFIER_CHARS or not value.isprintable():
            raise ValueError("is no workspace id")
    except ValueError as error:
        return f"{name} {error}"
    return ""


def _check_secrets(text: str) -> None:
    """Take one secret, or several with spaces between them. What is wrong is told without the secret."""
    if not text.strip():
        raise ValueError("must be the name of an environment variable that is set")
    for secret in text.split():
        try:
            read_secret(secret)
        except ValueError as error:
            raise ValueError(f"names a variable whose value {error}") from error


def _check_url(text: str) -> None:
    url = urlsplit(text)
    host = url.hostname or ""
    if not text.isascii() or not text.isprintable() or any(each in text for each in ' "<>\\^`{|}'):
        raise ValueError("holds characters that no address has")
    if not host or url.port == 0 or "@" in url.netloc or url.fragment:
        raise ValueError("must have a host, and neither a user nor a fragment")
    if url.scheme == "http" and is_loopback(host):
        return
    if url.scheme != "https" or is_numeric(host) or host == "localhost":
        raise ValueError("must be https of a host name, or http of a loopback address")
