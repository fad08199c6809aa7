"""The Lua filter, which checks REST requests and tidies their answers: its limits, its rules and its source."""

from importlib import resources
from typing import Final

from limner.domain import limits
from limner.gateway.descriptors import rest_rules
from limner.gateway.notation import FILTERS, Json

SOURCES: Final = ("json.lua", "rest.lua")


def lua_filter() -> Json:
    """Return the filter."""
    package = resources.files(__package__)
    sources = [package.joinpath(name).read_text(encoding="utf-8") for name in SOURCES]
    return {
        "@type": f"{FILTERS}.http.lua.v3.Lua",
        "default_source_code": {"inline_string": "\n".join([lua_limits(), rest_rules(), *sources])},
    }


def lua_limits() -> str:
    """Return the limits of a request's headers as Lua."""
    return (
        f"local MAX_HEADERS_BYTES = {limits.MAX_HEADERS_BYTES}\n"
        f"local MAX_PATH_BYTES = {limits.MAX_PATH_BYTES}\n"
        f"local MAX_AUTHORIZATION_BYTES = {limits.MAX_TOKEN_CHARS + len('Bearer ')}\n"
    )
