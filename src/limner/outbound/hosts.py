"""What a host of an address is: this machine, a numeric address, on the public internet."""

import ipaddress
from typing import Final

_INTERNAL_SUFFIXES: Final = (".internal", ".local", ".lan", ".svc", ".home.arpa")
"""Names that no public name service answers for."""
_SPECIAL: Final = tuple(
    ipaddress.ip_network(network)
    for network in (
        *("192.0.0.0/24", "192.88.99.0/24"),  # protocol assignments, the relays of 6to4
        *("64:ff9b::/96", "64:ff9b:1::/48", "2002::/16", "2001::/32", "::/96", "::ffff:0:0/96"),
        *("fec0::/10", "3fff::/20"),  # site-local, and the documentation's of RFC 9637
    )
)
"""What the standard library may call global, and is not: NAT64, 6to4, Teredo, compatible and mapped hide other ones."""


def is_public(address: str) -> bool:
    """Return whether a numeric address is on the public internet, as itself: no other one is hidden in it."""
    try:
        ip = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return False
    if any(ip in network for network in _SPECIAL):
        return False
    return ip.is_global and not (ip.is_multicast or ip.is_reserved or ip.is_unspecified)


def is_loopback(host: str) -> bool:
    """Return whether a host of an address is this machine; one of IPv6 may stand in brackets."""
    try:
        return host == "localhost" or ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


def is_numeric(host: str) -> bool:
    """Return whether a host is an address, in whatever spelling: ``127.1``, ``0x7f000001``, ``2130706433``, ``::1``."""
    return ":" in host or host.rstrip(".").rsplit(".", 1)[-1][:1].isdigit()


def is_internal(host: str) -> bool:
    """Tell whether a host is one's own for sure: on this machine or network, by its address or its kind of name."""
    if is_loopback(host):
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_private
    except ValueError:
        return "." not in host or host.lower().endswith(_INTERNAL_SUFFIXES)
