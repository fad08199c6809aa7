"""Where a request goes, and who may call from a browser."""

import re
from collections.abc import Sequence
from typing import Final

from limner.gateway.clusters import WEB, WORKERS
from limner.gateway.descriptors import picture_paths
from limner.gateway.filter import (
    ASKING,
    LARGE_JSON,
    LARGE_PICTURE,
    MAX_DRAINED_BYTES,
    MAX_JSON_BYTES,
    NATIVE,
    SMALL_BYTES,
    TOO_LARGE,
)
from limner.gateway.notation import EXTENSIONS, FILTERS, Json, extension
from limner.gateway.options import GatewayOptions
from limner.gateway.web_routes import WEB_ROUTES, WebRoute

REST_PREFIXES: Final = ("/v1/", "/api/image-service/v1/")

PREVIOUS_HOSTS: Final = extension(
    "retry.host.previous_hosts",
    {"@type": f"{EXTENSIONS}.retry.host.previous_hosts.v3.PreviousHostsPredicate"},
)
NOT_BEGUN: Final = "connect-failure,refused-stream"
"""When no worker has seen anything of a request."""

READS: Final = f"{NOT_BEGUN},reset,cancelled"
"""When a call that changes nothing is tried again: also where a worker went away, or closes."""

OPENAI: Final = "/openai/images/"
ASK_ONCE: Final = {
    "header": {"key": "x-should-retry", "value": "false"},
    "append_action": "ADD_IF_ABSENT",
}
"""Keeps OpenAI's SDKs from buying again where a worker went away, or fell silent, before it answered."""

CALL_FILTERS: Final = ("admission", "drain", "lua", "grpc_web", "transcoder")
ORIGIN: Final = {
    "header": {"key": "x-limner-origin", "value": "%REQ(x-forwarded-proto)%://%REQ(:authority)%"},
    "append_action": "OVERWRITE_IF_EXISTS_OR_ADD",
}
"""By which address a caller reached the gateway: what the service tells whole addresses by."""

DISABLED: Final = {"@type": "type.googleapis.com/envoy.config.route.v3.FilterConfig", "disabled": True}


def virtual_host(options: GatewayOptions) -> Json:
    """Return the routes: too large a body is refused by its length alone, all else goes to the workers.

    The doors beside the calls look at the length themselves, each at its own.
    """
    native = to_workers({"prefix": "/"}) | {
        "typed_per_filter_config": {"lua": {"@type": f"{FILTERS}.http.lua.v3.LuaPerRoute", "name": NATIVE}},
    }
    host: Json = {
        "name": "all",
        "domains": ["*"],
        "routes": [
            *(to_web(route) for route in WEB_ROUTES if options.web_upstreams),
            *(route for prefix in REST_PREFIXES for route in rest(prefix, options)),
            native,
        ],
    }
    if options.cors_origins:
        host["typed_per_filter_config"] = {"cors": cors_policy(options.cors_origins)}
    return host


def rest(prefix: str, options: GatewayOptions) -> list[Json]:
    """Return the routes of the paths that begin with a prefix. What comes is told by the length of its body."""
    picture = {"name": ":path", "string_match": {"safe_regex": {"regex": picture_paths(prefix)}}}
    json = picture | {"invert_match": True}
    post = {"name": ":method", "string_match": {"exact": "POST"}}
    undeclared = {"name": "content-length", "present_match": False}
    huge = {"match": {"prefix": prefix, "headers": [longer(MAX_DRAINED_BYTES)]}, "direct_response": {"status": 413}}
    too_large = ([longer(options.max_body_bytes)], [longer(MAX_JSON_BYTES), json])
    large = {LARGE_JSON: [post, undeclared, json], LARGE_PICTURE: [post, undeclared, picture]}
    return [
        huge,
        *(through(TOO_LARGE, {"prefix": prefix, "headers": headers}) for headers in too_large),
        *(through(name, {"prefix": prefix, "headers": headers}, options) for name, headers in large.items()),
        through(LARGE_PICTURE, {"prefix": prefix, "headers": [longer(SMALL_BYTES)]}, options),
        to_workers({"prefix": prefix, "headers": [{"name": ":method", "string_match": {"exact": "GET"}}]}, READS),
        to_workers({"prefix": prefix}),
    ]


def through(length: str, match: Json, asked: GatewayOptions | None = None) -> Json:
    """Return a route to the workers by way of ``drain.lua``, and ``admission.lua`` where there is somebody to ask."""
    names = {"drain": length} | ({"admission": ASKING} if asked and asked.web_upstreams else {})
    filters = {each: {"@type": f"{FILTERS}.http.lua.v3.LuaPerRoute", "name": name} for each, name in names.items()}
    return to_workers(match) | {"typed_per_filter_config": filters}


def longer(max_bytes: int) -> Json:
    """Return what matches a body that says to be longer."""
    return {"name": "content-length", "range_match": {"start": max_bytes + 1, "end": 2**62}}


def to_workers(match: Json, retry_on: str = NOT_BEGUN) -> Json:
    """Return a route. A call is tried again only where no worker has seen it, so that nothing is bought twice.

    For that a copy of its body is kept, but of no picture: uploads are not tried again.
    """
    return {
        "match": match,
        "route": {"cluster": WORKERS, "timeout": "0s", "retry_policy": retries(retry_on)},
        "request_body_buffer_limit": MAX_JSON_BYTES,
        "request_headers_to_add": [ORIGIN],
    }


def retries(retry_on: str) -> Json:
    """Return how a request is tried again: at another worker than before, if there is one."""
    return {
        "retry_on": retry_on,
        "num_retries": 3,
        "retry_host_predicate": [PREVIOUS_HOSTS],
        # How often the next in turn is passed over for having been tried; else one that is down is tried again.
        "host_selection_retry_max_attempts": 10,
    }


def to_web(route: WebRoute) -> Json:
    """Return a route to the workers' HTTP listeners, where no filter for calls takes part.

    Without a body it is tried again as well where a worker went away before it answered: it changes nothing.
    """
    reads = route.method == "GET"
    methods = "GET|HEAD" if reads else route.method
    retry_on = f"{NOT_BEGUN},reset-before-request"
    return {
        "match": {
            "safe_regex": {"regex": path_pattern(route.path)},
            "headers": [{"name": ":method", "string_match": {"safe_regex": {"regex": methods}}}],
        },
        "route": {
            "cluster": WEB,
            "timeout": "0s",
            "retry_policy": retries(f"{retry_on},reset" if reads else retry_on),
        },
        "request_body_buffer_limit": MAX_JSON_BYTES,
        "request_headers_to_add": [ORIGIN],
        "response_headers_to_add": [ASK_ONCE] if OPENAI in route.path else [],
        "typed_per_filter_config": dict.fromkeys(CALL_FILTERS, DISABLED),
    }


def path_pattern(path: str) -> str:
    """Return the regular expression of a path with parameters in braces, below each prefix of REST."""
    first = REST_PREFIXES[0]
    below = path.removeprefix(first)
    pattern = "[^/]+".join(re.escape(part) for part in re.split(r"\{\w+\}", below))
    if below == path:
        return pattern
    return f"({'|'.join(REST_PREFIXES)}){pattern}"


def cors_policy(origins: Sequence[str]) -> Json:
    """Return who may call from a browser and what the page may see."""
    anybody = {"safe_regex": {"regex": ".*"}}
    return {
        "@type": f"{FILTERS}.http.cors.v3.CorsPolicy",
        "allow_origin_string_match": [anybody if origin == "*" else {"exact": origin} for origin in origins],
        "allow_methods": "GET, HEAD, POST, DELETE, OPTIONS",
        "allow_headers": "authorization, content-type, idempotency-key, prefer, x-request-id, "
        "if-none-match, range, traceparent, tracestate, x-grpc-web, grpc-timeout, x-user-agent",
        "expose_headers": "x-request-id, etag, retry-after, content-length, content-range, accept-ranges, "
        "content-disposition, grpc-status, grpc-message, grpc-status-details-bin",
        "max_age": "86400",
    }
