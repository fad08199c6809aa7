"""Where a request goes, and who may call from a browser."""

from collections.abc import Sequence
from typing import Final

from limner.domain.limits import MIB
from limner.gateway.clusters import WORKERS
from limner.gateway.notation import EXTENSIONS, FILTERS, Json, extension
from limner.gateway.options import GatewayOptions

REST_PREFIXES: Final = ("/v1/", "/api/image-service/v1/")
MAX_JSON_BYTES: Final = MIB
"""Largest JSON body, in bytes: the longest prompt takes 384 KB when every character is escaped."""


def virtual_host(options: GatewayOptions) -> Json:
    """Return the routes: too large a body is refused by its length alone, all else goes to the workers."""
    too_large = {"name": "content-length", "range_match": {"start": options.max_body_bytes + 1, "end": 2**62}}
    refused = [
        {"match": {"prefix": prefix, "headers": [too_large]}, "direct_response": {"status": 413}}
        for prefix in REST_PREFIXES
    ]
    rest = [to_workers(prefix) for prefix in REST_PREFIXES]
    native = {
        **to_workers("/"),
        "typed_per_filter_config": {"lua": {"@type": f"{FILTERS}.http.lua.v3.LuaPerRoute", "disabled": True}},
    }
    host: Json = {"name": "all", "domains": ["*"], "routes": [*refused, *rest, native]}
    if options.cors_origins:
        host["typed_per_filter_config"] = {"cors": cors_policy(options.cors_origins)}
    return host


def to_workers(prefix: str) -> Json:
    """Return a route. A call is tried again only where no worker has seen it, so that nothing is bought twice.

    For that a copy of its body is kept, but of no picture: uploads are not tried again.
    """
    retries = {
        "retry_on": "connect-failure,refused-stream",
        "num_retries": 2,
        "retry_host_predicate": [
            extension(
                "retry.host.previous_hosts",
                {"@type": f"{EXTENSIONS}.retry.host.previous_hosts.v3.PreviousHostsPredicate"},
            )
        ],
    }
    return {
        "match": {"prefix": prefix},
        "route": {"cluster": WORKERS, "timeout": "0s", "retry_policy": retries},
        "request_body_buffer_limit": MAX_JSON_BYTES,
    }


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
