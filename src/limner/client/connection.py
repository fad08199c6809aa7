"""Where the service is, and what goes along with every call; the same for both clients."""

import uuid
from dataclasses import dataclass
from ipaddress import ip_address
from typing import Final, TypeAlias
from urllib.parse import urlsplit

import grpc

DEFAULT_SERVER: Final = "127.0.0.1:50051"
DEFAULT_TIMEOUT_S: Final = 30.0
"""For calls that look something up."""
DEFAULT_TASK_TIMEOUT_S: Final = 330.0
"""For tasks, and for pictures on their way: a five-minute task and some room."""

_MAX_RECEIVE_BYTES: Final = 64 * 1024 * 1024
"""A page of 200 images with 32,000-character prompts takes 25 MiB; gRPC's own limit is 4 MiB."""

_KEEPALIVE_MS: Final = 60_000
"""How long a call may be quiet before the connection is tried: tasks take minutes, and routers forget."""

_DEFAULT_PORTS: Final = {"": 50051, "grpc": 50051, "grpcs": 50051, "http": 80, "https": 443}
_TLS_SCHEMES: Final = frozenset({"grpcs", "https"})
_RESOLVER_PREFIXES: Final = ("unix:", "unix-abstract:", "dns:", "ipv4:", "ipv6:", "xds:")

Metadata: TypeAlias = tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Address:
    """A target as gRPC names it, and how to talk to it."""

    target: str
    tls: bool
    loopback: bool = False

    @property
    def channel_options(self) -> list[tuple[str, int]]:
        """What pictures, long pages and long tasks need; no proxy between two programs of one machine."""
        options = [
            ("grpc.max_receive_message_length", _MAX_RECEIVE_BYTES),
            ("grpc.keepalive_time_ms", _KEEPALIVE_MS),
            ("grpc.http2.max_pings_without_data", 0),
        ]
        return [*options, ("grpc.enable_http_proxy", 0)] if self.loopback else options

    def credentials(self, root_certificates: bytes | None) -> grpc.ChannelCredentials | None:
        """Return how to prove who the server is; ``None`` without TLS."""
        return grpc.ssl_channel_credentials(root_certificates) if self.tls else None


def parse_address(server: str, tls: bool | None = None) -> Address:
    """Read ``host``, ``host:port``, a URL such as ``grpcs://host``, or a gRPC target such as ``unix:/path``.

    ``grpcs`` and ``https`` mean TLS, ``grpc`` and ``http`` mean none. Without a scheme TLS is used unless
    the host is this machine, since an access token goes along. ``tls`` overrules all of that. Raises
    ``ValueError`` for anything else.
    """
    if server.startswith(_RESOLVER_PREFIXES):
        return Address(server, bool(tls))
    scheme, _, authority = server.rpartition("://")
    url = urlsplit(f"//{authority}")
    if scheme not in _DEFAULT_PORTS or not url.hostname or url.username or url.path not in {"", "/"} or url.query:
        raise ValueError(f"{server!r} is no address of a server: host:port, grpcs://host:port or https://host")
    loopback = _is_this_machine(url.hostname)
    host = f"[{url.hostname}]" if ":" in url.hostname else url.hostname
    by_scheme = scheme in _TLS_SCHEMES if scheme else not loopback
    return Address(f"{host}:{url.port or _DEFAULT_PORTS[scheme]}", by_scheme if tls is None else tls, loopback)


def new_request_id() -> str:
    """Return an id that finds one call in the service's log, even when no answer comes back."""
    return uuid.uuid4().hex


def checked_token(token: str) -> str:
    """Return the token without space around it. Raises ``ValueError``, which does not show it, when it is none."""
    token = token.strip()
    # gRPC would refuse such a token with an error that shows it.
    if not (token.isascii() and token.isprintable()) or " " in token:
        raise ValueError("The access token holds characters that no access token has.")
    return token


def call_metadata(token: str, request_id: str) -> Metadata:
    """Return what goes along with a call. Raises ``ValueError`` as ``checked_token`` does."""
    who = (("authorization", f"Bearer {token}"),) if (token := checked_token(token)) else ()
    return (("x-request-id", request_id), *who)


def _is_this_machine(host: str) -> bool:
    """Return whether a host is this machine. The client is a package of its own, which knows none of the service's."""
    try:
        return host == "localhost" or ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False
