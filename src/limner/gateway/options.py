"""What an operator may choose about the gateway."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from limner.domain.limits import MAX_STORED_BYTES, MAX_UPLOAD_BYTES, MIB
from limner.tls import TlsFiles


@dataclass(frozen=True, slots=True)
class GatewayOptions:
    """What an operator may choose about the gateway."""

    port: int
    upstreams: Sequence[str]
    """The gRPC address of each worker, ``host:port``; calls go to them in turn."""

    web_upstreams: Sequence[str] = ()
    """The HTTP address of each worker, ``host:port``; without any there are the calls alone, and no other door."""

    host: str = "127.0.0.1"
    silence_timeout_s: float = 330
    """How long a call may stay without a byte in either direction, in seconds: the bound of a generation."""

    cors_origins: Sequence[str] = ()
    """The origins whose pages may call, or ``*`` for all; none when empty."""

    max_body_bytes: int = MAX_UPLOAD_BYTES
    """Largest picture that a REST call may upload, in bytes."""

    max_response_bytes: int = MAX_STORED_BYTES
    """Largest JSON answer, in bytes. Downloads are streamed, and not bounded by it."""

    max_calls_in_flight: int = 10_000
    """Calls beyond these are refused at once. The workers refuse earlier, each for its own reasons."""

    tls: TlsFiles | None = None
    """How it proves who it is; ``None`` for plain HTTP."""

    tls_folder: Path | None = None
    """Where Envoy is told that the files were replaced; without one it reads them once."""

    leaving_file: Path | None = None
    """Holds 0, or 1 when connections shall be told to leave; replaced, not written to. ``None`` for an Envoy of one's
    own, which has other ways.
    """

    max_heap_bytes: int = 1024 * MIB
    """Memory at which Envoy refuses new calls, in bytes."""
