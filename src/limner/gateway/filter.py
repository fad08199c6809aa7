"""The Lua filters, which check requests and tidy the answers to them: their limits, their rules and their sources."""

from importlib import resources
from typing import Final

from limner.domain import limits
from limner.domain.limits import MIB
from limner.gateway.descriptors import rest_rules
from limner.gateway.notation import FILTERS, Json

MAX_JSON_BYTES: Final = MIB
"""Largest JSON body, in bytes: the longest prompt takes 384 KB when every character is escaped."""

MAX_DRAINED_BYTES: Final = 64 * MIB
"""Largest body whose end is waited for before it is refused. Nothing of it is kept."""

NATIVE: Final = "native"
DRAIN: Final = "drain"
"""The names of what a route may ask for: what checks gRPC instead of REST, and what drops bodies."""


def lua_filter(max_picture_bytes: int) -> Json:
    """Return the filter that checks REST requests, or, where a route says so, gRPC."""
    limits_of_rest = {
        "MAX_HEADERS_BYTES": limits.MAX_HEADERS_BYTES,
        "MAX_PATH_BYTES": limits.MAX_PATH_BYTES,
        "MAX_AUTHORIZATION_BYTES": limits.MAX_TOKEN_CHARS + len("Bearer "),
        "MAX_JSON_BYTES": MAX_JSON_BYTES,
        "MAX_PICTURE_BYTES": max_picture_bytes,
    }
    rest = "\n".join([constants(limits_of_rest), rest_rules(), source("json.lua"), source("rest.lua")])
    return {
        "@type": f"{FILTERS}.http.lua.v3.Lua",
        "default_source_code": {"inline_string": rest},
        "source_codes": {NATIVE: {"inline_string": source("native.lua")}},
    }


def drain_filter() -> Json:
    """Return the filter that drops bodies where a route says so."""
    drain = constants({"MAX_JSON_BYTES": MAX_JSON_BYTES, "MAX_DRAINED_BYTES": MAX_DRAINED_BYTES}) + source("drain.lua")
    return {"@type": f"{FILTERS}.http.lua.v3.Lua", "source_codes": {DRAIN: {"inline_string": drain}}}


def constants(numbers: dict[str, int]) -> str:
    """Return the Lua source that gives names to numbers."""
    return "".join(f"local {name} = {number}\n" for name, number in numbers.items())


def source(name: str) -> str:
    """Return a Lua source that stands beside this module."""
    return resources.files(__package__).joinpath(name).read_text(encoding="utf-8")
