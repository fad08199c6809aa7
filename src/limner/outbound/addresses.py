"""Addresses that are acceptable by themselves, and those of one server."""

import functools

from yarl import URL

from limner.outbound.errors import ForeignAddressError
from limner.outbound.hosts import is_loopback


def secure_address(text: str) -> URL:
    """Return an address that is https, or http on loopback alone; raise ``ValueError`` for others."""
    url = absolute(text)
    if url.scheme != "https" and not is_loopback(url.raw_host or ""):
        raise ValueError("it must be https; plain http is for loopback addresses alone")
    return url


def base_address(text: str) -> URL:
    """Return the base address of an API: https, or http on loopback alone; raise ``ValueError`` for others."""
    try:
        url = secure_address(text)
    except ValueError as error:
        raise ValueError(f"a base address: {error}") from error
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
        url = absolute(text)
    except ValueError as error:
        raise ForeignAddressError("the provider names something that is no address") from error
    if origin(url) != origin(base):
        raise ForeignAddressError("the provider names an address outside its own API")
    return url


def absolute(text: str) -> URL:
    """Return an absolute http(s) address without user information, or raise ``ValueError``."""
    url = URL(clean(text), encoded=True)
    if url.scheme not in {"http", "https"} or not url.raw_host or url.port is None or "@" in url.raw_authority:
        raise ValueError("it is no http address")
    host = url.raw_host.lower()
    return url if host == url.raw_host else url.with_host(host)


def origin(url: URL) -> tuple[str, str | None, int | None]:
    """Return scheme, host and port, by which two addresses are of one server."""
    return url.scheme, url.raw_host, url.port


def clean(text: str) -> str:
    """Return the text of an address as it is, or raise ``ValueError`` for characters that no address has."""
    if not text.isascii() or not text.isprintable() or any(each in text for each in ' "<>\\^`{|}'):
        raise ValueError("it holds characters that no address has")
    return text
