"""What an operator can set: by environment variables, or by the same names in a TOML file.

Read once, at the start. Everything that is wrong is reported at once.
"""

import os
import tomllib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields
from difflib import get_close_matches
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Final, Self
from urllib.parse import urlsplit

from limner.outbound.hosts import is_loopback
from limner.tls import TlsFiles

CONFIG_VARIABLE: Final = "LIMNER_CONFIG"
_PREFIX: Final = "LIMNER_"
_ELSEWHERE: Final = ("LIMNER_SERVER", "LIMNER_TOKEN", "LIMNER_WORKSPACE", "LIMNER_FAILPOINT")
"""Read by the command line, and by what makes the service die in its tests."""


class SettingsError(Exception):
    """One or more settings are wrong; ``faults`` has a line for each."""

    def __init__(self, faults: list[str]) -> None:
        super().__init__("\n".join(faults))
        self.faults = faults


def _text(value: str) -> str:
    return value


def _list(value: str) -> tuple[str, ...]:
    return tuple(part.strip() for part in value.split(",") if part.strip())


def _count(value: str) -> int:
    number = int(value)
    if number < 1:
        raise ValueError("must be at least 1")
    return number


def _port(value: str) -> int:
    number = int(value)
    if not 0 <= number <= 65_535:
        raise ValueError("must be 0 to 65535")
    return number


def _seconds(value: str) -> float:
    number = float(value)
    if not 0 <= number < float("inf"):
        raise ValueError("must be a number of seconds")
    return number


def _amount(value: str) -> float:
    number = float(value)
    if not 0 <= number < float("inf"):
        raise ValueError("must be an amount of US dollars")
    return number


def _hours(value: str) -> int:
    number = int(value)
    if number < 24:
        raise ValueError("must be at least 24")
    return number


def _level(value: str) -> str:
    levels = ("debug", "info", "warning", "error")
    if value.lower() not in levels:
        raise ValueError(f"must be one of {', '.join(levels)}")
    return value.lower()


def _database_url(value: str) -> str:
    if urlsplit(value).scheme not in ("postgresql", "postgres", "sqlite"):
        raise ValueError("must start with postgresql:// or sqlite://")
    return value


def _storage(value: str) -> str:
    if "://" in value and not (value.startswith("gs://") and urlsplit(value).netloc):
        raise ValueError("must be a folder or gs://bucket[/prefix]")
    return value


def _jwks(value: str) -> str:
    parts = urlsplit(value)
    if parts.scheme == "http" and not is_loopback(parts.hostname or ""):
        raise ValueError("must be a file or an https address")
    return value


def _public_url(value: str) -> str:
    parts = urlsplit(value)
    if parts.scheme not in ("http", "https") or not parts.netloc or parts.query or parts.fragment:
        raise ValueError("must be an http or https address")
    return value.rstrip("/")


def _signed_urls(value: str) -> str:
    if value not in ("own", "gcs"):
        raise ValueError("must be own or gcs")
    return value


def _path(value: str) -> Path:
    return Path(value).expanduser()


def _setting(read: Callable[[str], Any], default: Any, description: str, *, secret: bool = False) -> Any:
    return field(default=default, metadata={"read": read, "description": description, "secret": secret})


def _choice(*choices: str) -> Callable[[str], str]:
    def read(value: str) -> str:
        if value not in choices:
            raise ValueError(f"must be one of {', '.join(choices)}")
        return value

    return read


def _included(value: str) -> tuple[str, ...]:
    named = _list(value)
    if not set(named) <= set(_TOLD):
        raise ValueError(f"must hold nothing but {', '.join(_TOLD)}")
    return named


def _authority(value: str) -> str:
    parts = urlsplit(value)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ValueError("must be an http or https address")
    return value


_TOLD: Final = ("prompt", "user", "workspace")


@dataclass(frozen=True, kw_only=True)
class Settings:
    """All settings. ``LIMNER_`` and the upper-case field name make the name of the environment variable."""

    data_dir: Path = _setting(_path, Path(".limner"), "folder of the embedded database, the pictures and the key")
    database_url: str = _setting(_database_url, "", "postgresql://...; default: SQLite in the data folder", secret=True)
    storage: str = _setting(_storage, "", "gs://bucket[/prefix] or a folder; default: in the data folder")
    models: Path | None = _setting(_path, None, "TOML file of the model catalogue")
    webhooks: Path | None = _setting(_path, None, "TOML file of the webhooks")
    default_generate_model: str = _setting(_text, "", "model of generate calls that name none")
    default_edit_model: str = _setting(_text, "", "model of edit calls that name none")
    max_in_flight: int = _setting(_count, 1024, "tasks at work at once in one worker; more are refused")
    quota_images_per_month: int | None = _setting(_count, None, "images of a workspace per month; default: no limit")
    quota_usd_per_month: float | None = _setting(_amount, None, "money of a workspace per month; default: no limit")
    retention_days: int | None = _setting(_count, None, "days that images are kept; default: until they are deleted")
    price_ceiling_usd: float = _setting(_amount, 0.25, "what a picture of unknown price counts as")
    idempotency_hours: int = _setting(_hours, 24, "how long idempotency keys are kept, at least 24")
    spool_max_mib: int = _setting(_count, 4096, "most that waits on this disk for a storage that is down, in MiB")
    min_free_mib: int = _setting(_count, 64, "what stays free on this disk: below it nothing is bought, in MiB")
    auth_jwks: str = _setting(_jwks, "", "key set of the access tokens: a file or an https address")
    auth_issuer: str = _setting(_text, "", "the tokens' iss, checked when set")
    auth_audience: str = _setting(_text, "", "the tokens' aud, checked when set")
    auth_leeway_s: float | None = _setting(
        _seconds, None, "how far clocks may differ, in seconds; default: 30, and 0 for tokens of the local key"
    )
    auth_user_claim: str = _setting(_text, "sub", "claim with the user's id")
    auth_workspaces_claim: str = _setting(_text, "workspaces", "claim with the object workspace id -> role")
    auth_admin_claim: str = _setting(_text, "admin", "claim that is true for admins everywhere")
    cors_origins: tuple[str, ...] = _setting(_list, (), "web origins that may call, separated by commas; * for all")
    request_timeout_s: float = _setting(_seconds, 600.0, "longest REST call, in seconds")
    drain_delay_s: float = _setting(
        _seconds, 0.0, "how long it is not ready, and still works, before it ends, in seconds"
    )
    drain_timeout_s: float = _setting(_seconds, 30.0, "time for running work at the end, in seconds")
    c2pa_cert: str = _setting(_text, "", "PEM chain that pictures are signed with, a file's path or the PEM itself")
    c2pa_key: str = _setting(_text, "", "its PEM key, a file's path or the PEM itself", secret=True)
    c2pa_tsa_url: str = _setting(_authority, "", "time stamp authority (RFC 3161) of the signatures")
    c2pa_trust_anchors: Path | None = _setting(_path, None, "PEM file of the certificates that readers trust")
    c2pa_over_provider: str = _setting(
        _choice("keep", "wrap"), "keep", "keep a provider's valid manifest as it is, or wrap it in one of ours"
    )
    c2pa_include: tuple[str, ...] = _setting(_included, (), "what manifests tell besides: prompt, user, workspace")
    watermark: str = _setting(_choice("off", "rivagan"), "off", "what puts a watermark into pictures: off or rivagan")
    log_level: str = _setting(_level, "info", "debug, info, warning or error")
    host: str = _setting(_text, "127.0.0.1", "address to listen on")
    grpc_port: int = _setting(_port, 50051, "port of gRPC; 0 for a free one")
    http_port: int = _setting(_port, 8080, "port of REST, grpc-web and gRPC through Envoy; 0 for a free one")
    public_url: str = _setting(_public_url, "", "where callers reach the service, such as https://images.example.com")
    url_keys: tuple[str, ...] = _setting(
        _list,
        (),
        "keys of signed addresses in base64, newest first; default: in the data folder",
        secret=True,
    )
    signed_urls: str = _setting(_signed_urls, "own", "whose signed addresses: own, or gcs for the storage's")
    web_port: int | None = _setting(
        _port, None, "port of the workers' HTTP for an Envoy of your own; default: only the built-in one reaches it"
    )
    tls_cert: Path | None = _setting(_path, None, "PEM file of the certificate chain, for gRPC and the gateway")
    tls_key: Path | None = _setting(_path, None, "PEM file of its key")
    tls_client_ca: Path | None = _setting(_path, None, "PEM file of the authority whose clients alone may call")
    metrics_port: int | None = _setting(_port, None, "port of Prometheus metrics; 0 for a free one; default: none")
    workers: int = _setting(_count, 1, "processes that answer calls")

    @classmethod
    def read(cls, environment: Mapping[str, str] = os.environ, **overrides: Any) -> Self:
        """Return the settings, or raise ``SettingsError`` with all faults.

        The environment wins over the file; ``overrides``, from the command line, win over both. An override
        of ``None`` counts as absent.
        """
        faults: list[str] = []
        raw = {**_from_file(environment.get(CONFIG_VARIABLE), faults), **_from_environment(environment)}
        values = dict(_parsed(cls, raw, faults))
        values.update((name, value) for name, value in overrides.items() if value is not None)
        settings = cls(**values)
        faults += _contradictions(settings)
        if faults:
            raise SettingsError(faults)
        return settings

    @property
    def tls(self) -> TlsFiles | None:
        """The files of TLS; ``None`` without it."""
        if self.tls_cert is None or self.tls_key is None:
            return None
        authority = self.tls_client_ca.absolute() if self.tls_client_ca else None
        return TlsFiles(self.tls_cert.absolute(), self.tls_key.absolute(), authority)

    def __repr__(self) -> str:
        shown = (
            "***" if each.metadata["secret"] and getattr(self, each.name) else repr(getattr(self, each.name))
            for each in fields(self)
        )
        pairs = ", ".join(f"{each.name}={value}" for each, value in zip(fields(self), shown, strict=True))
        return f"Settings({pairs})"


def mistyped(environment: Mapping[str, str] = os.environ) -> list[str]:
    """Return a line for each variable that begins like a setting and is none; a wrong one would do nothing, unseen."""
    known = [variable(each.name) for each in fields(Settings)] + [CONFIG_VARIABLE, *_ELSEWHERE]
    unknown = (name for name in sorted(environment) if name.startswith(_PREFIX) and name not in known)
    return [f"{name}: there is no such setting{_meant(name, known)}" for name in unknown]


def _meant(name: str, known: Sequence[str]) -> str:
    close = get_close_matches(name, known, n=1, cutoff=0.8)
    return f"; is {close[0]} meant?" if close else ""


def variable(name: str) -> str:
    """Return the environment variable of a setting."""
    return _PREFIX + name.upper()


def _from_environment(environment: Mapping[str, str]) -> dict[str, str]:
    return {key: value for key, value in environment.items() if key.startswith(_PREFIX) and value}


def _from_file(path: str | None, faults: list[str]) -> dict[str, str]:
    if not path:
        return {}
    try:
        table = tomllib.loads(Path(path).read_text())
    except (OSError, ValueError) as error:
        faults.append(f"{CONFIG_VARIABLE}: {path} can't be read: {error}")
        return {}
    known = {variable(each.name) for each in fields(Settings)}
    faults += [f"{path}: there is no setting {name}" for name in table if name not in known]
    return {name: _as_text(value) for name, value in table.items()}


def _as_text(value: object) -> str:
    return ",".join(map(str, value)) if isinstance(value, list) else str(value)


def _parsed(cls: type[Settings], raw: Mapping[str, str], faults: list[str]) -> Iterator[tuple[str, Any]]:
    for each in fields(cls):
        name = variable(each.name)
        if name not in raw:
            continue
        try:
            yield each.name, each.metadata["read"](raw[name])
        except ValueError as error:
            shown = "its value" if each.metadata["secret"] else repr(raw[name])
            faults.append(f"{name}: {shown} {error}" if "must" in str(error) else f"{name}: {shown} is not a number")


def _contradictions(settings: Settings) -> Iterator[str]:
    if not settings.auth_jwks and not is_loopback(settings.host):
        yield (
            f"LIMNER_AUTH_JWKS: without real keys the service listens on loopback only, not on {settings.host}; "
            "set it to the key set that signs your access tokens"
        )
    yield from _tls_faults(settings)
    yield from _c2pa_faults(settings)
    if settings.watermark != "off" and (find_spec("onnxruntime") is None or find_spec("c2pa") is None):
        yield "LIMNER_WATERMARK: install limner[provenance]"
    if settings.signed_urls == "gcs" and not settings.storage.startswith("gs://"):
        yield "LIMNER_SIGNED_URLS: gcs needs pictures in a bucket: LIMNER_STORAGE=gs://bucket"
    if settings.models is not None and not settings.models.is_file():
        yield f"LIMNER_MODELS: there is no file {settings.models}"
    if settings.webhooks is not None and not settings.webhooks.is_file():
        yield f"LIMNER_WEBHOOKS: there is no file {settings.webhooks}"


def _tls_faults(settings: Settings) -> Iterator[str]:
    if (settings.tls_cert is None) != (settings.tls_key is None):
        yield "LIMNER_TLS_CERT, LIMNER_TLS_KEY: one is nothing without the other"
    elif settings.tls_client_ca is not None and settings.tls_cert is None:
        yield "LIMNER_TLS_CLIENT_CA: needs LIMNER_TLS_CERT and LIMNER_TLS_KEY"
    elif settings.tls is not None and (fault := settings.tls.fault()):
        yield f"LIMNER_TLS_CERT, LIMNER_TLS_KEY, LIMNER_TLS_CLIENT_CA: {fault}"


def _c2pa_faults(settings: Settings) -> Iterator[str]:
    if not (settings.c2pa_cert or settings.c2pa_key or settings.c2pa_trust_anchors):
        if settings.c2pa_tsa_url or settings.c2pa_include:
            yield "LIMNER_C2PA_CERT, LIMNER_C2PA_KEY: without them nothing is signed, stamped or told"
        return
    # Imported when set: it takes its time.
    from limner.certificates import CertificateError, load_anchors, load_identity

    try:
        if settings.c2pa_trust_anchors:
            load_anchors(settings.c2pa_trust_anchors)
        if bool(settings.c2pa_cert) != bool(settings.c2pa_key):
            yield "LIMNER_C2PA_CERT, LIMNER_C2PA_KEY: one is nothing without the other"
        elif settings.c2pa_cert:
            load_identity(settings.c2pa_cert, settings.c2pa_key)
    except CertificateError as error:
        yield from error.faults
    if find_spec("c2pa") is None:
        yield "LIMNER_C2PA_...: install limner[provenance]"
