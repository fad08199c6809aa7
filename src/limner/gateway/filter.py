"""The Lua filters, which check requests and tidy the answers to them: their limits, their rules and their sources."""

from collections.abc import Mapping
from importlib import resources
from typing import Final

from limner.domain import limits
from limner.domain.limits import KIB, MIB
from limner.gateway.descriptors import rest_rules
from limner.gateway.notation import FILTERS, Json

LUA: Final = f"{FILTERS}.http.lua.v3.Lua"
MAX_JSON_BYTES: Final = MIB
"""Largest JSON body, in bytes: the longest prompt takes 384 KB when every character is escaped."""

MAX_DRAINED_BYTES: Final = 64 * MIB
"""Largest body whose end is waited for before it is refused. Nothing of it is kept."""

SMALL_BYTES: Final = 8 * KIB
"""A body up to which is kept whoever sends it: no more than what a request takes by itself."""

NATIVE: Final = "native"
"""The name by which a route asks for what checks gRPC instead of REST."""

ASKING: Final = "asking"
"""The name by which a route asks for ``admission.lua``."""

TOO_LARGE: Final = "too-large"
LARGE_JSON: Final = "large-json"
LARGE_PICTURE: Final = "large-picture"
LENGTHS: Final = {TOO_LARGE: "0", LARGE_JSON: str(MAX_JSON_BYTES), LARGE_PICTURE: "nil"}
"""How many bytes pass of a body that is not taken anyway, and of large ones, in Lua."""

LIMITS: Final = {
    "MAX_PATH_BYTES": limits.MAX_PATH_BYTES,
    "MAX_AUTHORIZATION_BYTES": limits.MAX_TOKEN_CHARS + len("Bearer "),
    "MAX_JSON_BYTES": MAX_JSON_BYTES,
}


def lua_filter(max_picture_bytes: int) -> Json:
    """Return the filter that checks REST requests, or, where a route says so, gRPC."""
    limits_of_rest = LIMITS | {"MAX_HEADERS_BYTES": limits.MAX_HEADERS_BYTES, "MAX_PICTURE_BYTES": max_picture_bytes}
    rest = "\n".join([constants(limits_of_rest), rest_rules(), source("json.lua"), source("rest.lua")])
    return {
        "@type": LUA,
        "default_source_code": {"inline_string": rest},
        "source_codes": {NATIVE: {"inline_string": source("native.lua")}},
    }


def admission_filter() -> Json:
    """Return the filter that asks, where a route says so, whether a caller may send a large body."""
    admission = constants(LIMITS) + source("admission.lua")
    return {"@type": LUA, "source_codes": {ASKING: {"inline_string": admission}}}


def drain_filter() -> Json:
    """Return the filter that drops of a body, where a route names one of ``LENGTHS``, what is not kept."""
    head = constants({"MAX_DRAINED_BYTES": MAX_DRAINED_BYTES})
    return {
        "@type": LUA,
        "source_codes": {
            name: {"inline_string": f"{head}local KEPT = {kept}\n{source('drain.lua')}"}
            for name, kept in LENGTHS.items()
        },
    }


def constants(numbers: Mapping[str, int]) -> str:
    """Return the Lua source that gives names to numbers."""
    return "".join(f"local {name} = {number}\n" for name, number in numbers.items())


def source(name: str) -> str:
    """Return a Lua source that stands beside this module."""
    return resources.files(__package__).joinpath(name).read_text(encoding="utf-8")
