"""How Envoy writes things in its configuration."""

import ipaddress
from typing import Any, Final

Json = dict[str, Any]

FILTERS: Final = "type.googleapis.com/envoy.extensions.filters"
EXTENSIONS: Final = "type.googleapis.com/envoy.extensions"


def extension(name: str, config: Json) -> Json:
    """Return an extension under the name by which other parts refer to it."""
    return {"name": name, "typed_config": config}


def socket_address(host: str, port: int) -> Json:
    """Return an address as Envoy writes it."""
    return {"socket_address": {"address": host, "port_value": port}}


def split_address(address: str) -> tuple[str, int]:
    """Split ``host:port``; an IPv6 host stands in brackets."""
    host, _, port = address.rpartition(":")
    return host.strip("[]"), int(port)


def is_ip(host: str) -> bool:
    """Tell whether a host needs no name service."""
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


def duration(seconds: float) -> str:
    """Return seconds as protobuf's JSON writes a duration."""
    return f"{seconds:.3f}s"
