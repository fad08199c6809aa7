"""Which addresses may be asked: a provider's own origin, the hosts of its results, and what is public at all."""

import functools
import ipaddress
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from yarl import URL

from limner.models.http.errors import ForeignAddressError, ResultError

_HTTPS_PORT: Final = 443
_SPELLINGS: Final = {"localhost": ("127.0.0.1", "::1"), "127.0.0.1": ("localhost",), "::1": ("localhost",)}
"""What else an origin on this machine may be called."""
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
    """Return whether a host of an address is this machine."""
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def base_address(text: str) -> URL:
    """Return the base address of an API: https, or http on loopback alone; raise ``ValueError`` for others."""
    url = _parsed(text)
    if url.scheme != "https" and not is_loopback(url.raw_host or ""):
        raise ValueError("a base address must be https; plain http is for loopback addresses alone")
    if url.query_string or url.fragment:
        raise ValueError("a base address has neither a query nor a fragment")
    return url


@functools.lru_cache(maxsize=256)
def own_address(base: URL, path: str) -> URL:
    """Return an address of the provider's API: below its base, or a whole one of the same origin.

    Raises ``ForeignAddressError`` for another origin.
    """
    if not path.lower().startswith(("https://", "http://")):
        return _own(f"{str(base).rstrip('/')}/{path.lstrip('/')}", base)
    return _own(path, base)


def _own(text: str, base: URL) -> URL:
    try:
        url = _parsed(text)
    except ValueError as error:
        raise ForeignAddressError("the provider names something that is no address") from error
    if _origin(url) != _origin(base):
        raise ForeignAddressError("the provider names an address outside its own API")
    return url


def _parsed(text: str) -> URL:
    """Return an absolute http(s) address without user information, or raise ``ValueError``."""
    url = URL(_clean(text), encoded=True)
    if url.scheme not in {"http", "https"} or not url.raw_host or url.port is None or "@" in url.raw_authority:
        raise ValueError("it is no http address")
    host = url.raw_host.lower()
    return url if host == url.raw_host else url.with_host(host)


def _origin(url: URL) -> tuple[str, str | None, int | None]:
    return url.scheme, url.raw_host, url.port


def _clean(text: str) -> str:
    if not text.isascii() or not text.isprintable() or any(each in text for each in ' "<>\\^`{|}'):
        raise ValueError("it holds characters that no address has")
    return text


@dataclass(frozen=True, slots=True)
class Target:
    """An address that may be asked for a result."""

    url: URL
    public: bool
    """Whether it must lead to a public address; the operator's own origins need not."""


class ResultAddresses:
    """Which addresses results may have.

    - the origin of ``base_url``, which the operator wrote; one on this machine by its other names, too;
    - https on port 443, or on the pattern's own port, of a host among ``hosts`` (the vendor's and the operator's):
      ``cdn.example.com`` exactly, ``*.example.com`` any name below it, ``cdn.example.com:8443`` on that port. They
      must lead to public addresses. A numeric address never matches;
    - http or https of a loopback ``host:port`` that is among ``hosts``, on any port for a ``host`` alone.

    Raises ``ValueError`` for a pattern or base address that is none.
    """

    def __init__(self, *, base_url: str, hosts: Iterable[str] = ()) -> None:
        self._base = base_address(base_url)
        patterns = [_Pattern.parse(host) for host in hosts]
        self._loopback = {(each.host, each.explicit_port) for each in patterns if is_loopback(each.host)}
        if is_loopback(self._base.raw_host or ""):
            self._loopback.add((self._base.raw_host or "", self._base.port))
        self._patterns = tuple(each for each in patterns if not is_loopback(each.host))

    def target(self, address: str, beside: URL | None = None) -> Target:
        """Return what may be asked for this address, relative to ``beside``; raise ``ResultError`` for what may not."""
        try:
            url = _parsed(str((beside or self._base).join(URL(_clean(address), encoded=True))))
        except ValueError as error:
            raise ResultError("the result has no proper address") from error
        host, port = url.raw_host or "", url.port
        if _origin(url) == _origin(self._base) or self._is_listed_loopback(host, port):
            return Target(url, public=False)
        if is_loopback(host):
            raise _unlisted("the result's address is on this machine, and not on the list", host, port, None)
        if url.scheme != "https" or _is_numeric(host):
            raise ResultError("the result's address is neither https nor the operator's own", host=host)
        if not any(pattern.matches(host, port) for pattern in self._patterns):
            raise _unlisted("the result's host or port is not on the list", host, port, _HTTPS_PORT)
        return Target(url, public=True)

    def _is_listed_loopback(self, host: str, port: int | None) -> bool:
        names = (host, *_SPELLINGS.get(host, ()))
        return any((name, each) in self._loopback for name in names for each in (port, None))


@dataclass(frozen=True, slots=True)
class _Pattern:
    host: str
    """Lower case; with a dot in front for any name below it."""
    port: int | None
    explicit_port: int | None
    """``None`` when the pattern names no port."""

    @classmethod
    def parse(cls, text: str) -> "_Pattern":
        url = _parsed(f"https://{text.removeprefix('*.')}")
        if url.raw_path not in {"", "/"} or url.query_string or url.fragment:
            raise ValueError(f"{text!r} is no host name")
        host = url.raw_host or ""
        return cls(f".{host}" if text.startswith("*.") else host, url.port, url.explicit_port)

    def matches(self, host: str, port: int | None) -> bool:
        if port != self.port:
            return False
        return host.endswith(self.host) and len(host) > len(self.host) if self.host[0] == "." else host == self.host


def _unlisted(why: str, host: str, port: int | None, usual_port: int | None) -> ResultError:
    """Return the error for a host that the operator may allow."""
    place = host if port == usual_port else f"{host}:{port}"
    return ResultError(why, host=host, setting=f'result_hosts = ["{place}"]')


def _is_numeric(host: str) -> bool:
    """Return whether a host is an address, in whatever spelling (``127.1``, ``0x7f000001``, ``2130706433``)."""
    return ":" in host or host.rsplit(".", 1)[-1][:1].isdigit()
