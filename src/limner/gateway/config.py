"""Envoy's configuration, built from the service's descriptor.

One port takes REST (transcoded to gRPC), native gRPC and grpc-web. Every error that Envoy itself answers to a REST
client is ``{"code", "message", "details"}`` in JSON, as the service's own are.
"""

import base64
import ipaddress
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import resources
from typing import Any, Final

from limner.domain.limits import MAX_STORED_BYTES, MAX_UPLOAD_BYTES, MIB
from limner.gateway.descriptors import SERVICE, descriptor_set, rest_rules
from limner.gateway.replies import local_replies

Json = dict[str, Any]

REST_PREFIXES: Final = ("/v1/", "/api/image-service/v1/")
CLUSTER: Final = "workers"
MAX_JSON_BYTES: Final = MIB
"""Largest JSON body, in bytes: the longest prompt takes 384 KB when every character is escaped."""

MAX_CONNECTIONS: Final = 10_000
CONNECT_TIMEOUT_S: Final = 2
HEADERS_TIMEOUT_S: Final = 10

FILTERS: Final = "type.googleapis.com/envoy.extensions.filters"
EXTENSIONS: Final = "type.googleapis.com/envoy.extensions"


@dataclass(frozen=True, slots=True)
class GatewayOptions:
    """What an operator may choose about the gateway."""

    port: int
    upstreams: Sequence[str]
    """The gRPC address of each worker, ``host:port``; calls go to them in turn."""

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

    max_heap_bytes: int = 1024 * MIB
    """Memory at which Envoy refuses new calls, in bytes."""


def gateway_config(options: GatewayOptions) -> Json:
    """Return Envoy's bootstrap configuration. It names no file and opens no admin port."""
    return {
        "static_resources": {"listeners": [listener(options)], "clusters": [cluster(options)]},
        "stats_config": {"stats_matcher": {"reject_all": True}},
        "overload_manager": overload_manager(options),
    }


def listener(options: GatewayOptions) -> Json:
    """Return the one listener. Its port is not shared, so that a second gateway on it fails instead of taking half."""
    return {
        "name": "http",
        "address": socket_address(options.host, options.port),
        "enable_reuse_port": False,
        "per_connection_buffer_limit_bytes": MAX_JSON_BYTES,
        "filter_chains": [{"filters": [extension("network.http_connection_manager.v3", connections(options))]}],
    }


def connections(options: GatewayOptions) -> Json:
    """Return the HTTP connection manager."""
    silence = duration(options.silence_timeout_s)
    return {
        "@type": f"{FILTERS}.network.http_connection_manager.v3.HttpConnectionManager",
        "stat_prefix": "http",
        "codec_type": "AUTO",
        "server_name": "limner",
        "stream_idle_timeout": silence,
        "request_timeout": silence,
        "request_headers_timeout": duration(HEADERS_TIMEOUT_S),
        "normalize_path": True,
        "merge_slashes": True,
        "use_remote_address": True,
        "preserve_external_request_id": True,
        "always_set_request_id_in_response": True,
        "request_id_extension": {
            "typed_config": {
                "@type": f"{EXTENSIONS}.request_id.uuid.v3.UuidRequestIdConfig",
                "pack_trace_reason": False,
            }
        },
        "local_reply_config": local_replies(options.max_body_bytes),
        "route_config": {"virtual_hosts": [virtual_host(options)]},
        "http_filters": http_filters(options),
    }


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
        "route": {"cluster": CLUSTER, "timeout": "0s", "retry_policy": retries},
        "request_body_buffer_limit": MAX_JSON_BYTES,
    }


def cors_policy(origins: Sequence[str]) -> Json:
    """Return who may call from a browser and what the page may see."""
    anybody = {"safe_regex": {"regex": ".*"}}
    return {
        "@type": f"{FILTERS}.http.cors.v3.CorsPolicy",
        "allow_origin_string_match": [anybody if origin == "*" else {"exact": origin} for origin in origins],
        "allow_methods": "GET, POST, DELETE, OPTIONS",
        "allow_headers": "authorization, content-type, idempotency-key, prefer, x-request-id, "
        "x-grpc-web, grpc-timeout, x-user-agent",
        "expose_headers": "x-request-id, etag, retry-after, content-length, "
        "grpc-status, grpc-message, grpc-status-details-bin",
        "max_age": "86400",
    }


def http_filters(options: GatewayOptions) -> list[Json]:
    """Return the filters in the order in which a request meets them; an answer meets them in reverse."""
    cors = [extension("cors", {"@type": f"{FILTERS}.http.cors.v3.Cors"})] if options.cors_origins else []
    return [
        *cors,
        extension("lua", lua_filter()),
        extension("grpc_web", {"@type": f"{FILTERS}.http.grpc_web.v3.GrpcWeb"}),
        extension("transcoder", transcoder(options)),
        extension("router", {"@type": f"{FILTERS}.http.router.v3.Router", "suppress_envoy_headers": True}),
    ]


def lua_filter() -> Json:
    """Return the filter that checks REST requests and tidies their answers."""
    source = resources.files(__package__).joinpath("rest.lua").read_text(encoding="utf-8")
    return {
        "@type": f"{FILTERS}.http.lua.v3.Lua",
        "default_source_code": {"inline_string": rest_rules() + source},
    }


def transcoder(options: GatewayOptions) -> Json:
    """Return the filter that turns REST into gRPC and back."""
    return {
        "@type": f"{FILTERS}.http.grpc_json_transcoder.v3.GrpcJsonTranscoder",
        "proto_descriptor_bin": base64.b64encode(descriptor_set()).decode(),
        "services": [SERVICE.full_name],
        "print_options": {"always_print_primitive_fields": True, "stream_sse_style_delimited": True},
        "convert_grpc_status": True,
        "match_incoming_request_route": True,
        "url_unescape_spec": "ALL_CHARACTERS_EXCEPT_SLASH",
        "query_param_unescape_plus": True,
        "request_validation_options": {"reject_unknown_method": True, "reject_unknown_query_parameters": True},
        "max_request_body_size": options.max_body_bytes,
        "max_response_body_size": options.max_response_bytes,
    }


def cluster(options: GatewayOptions) -> Json:
    """Return the workers: one HTTP/2 connection to each, calls in turn."""
    return {
        "name": CLUSTER,
        "type": "STATIC" if all(is_ip(split_address(each)[0]) for each in options.upstreams) else "STRICT_DNS",
        "lb_policy": "ROUND_ROBIN",
        "connect_timeout": duration(CONNECT_TIMEOUT_S),
        "per_connection_buffer_limit_bytes": MIB,
        "circuit_breakers": {
            "thresholds": [
                {
                    "max_connections": MAX_CONNECTIONS,
                    "max_pending_requests": options.max_calls_in_flight,
                    "max_requests": options.max_calls_in_flight,
                }
            ]
        },
        "typed_extension_protocol_options": {
            "envoy.extensions.upstreams.http.v3.HttpProtocolOptions": {
                "@type": f"{EXTENSIONS}.upstreams.http.v3.HttpProtocolOptions",
                "explicit_http_config": {"http2_protocol_options": {}},
            }
        },
        "load_assignment": {
            "cluster_name": CLUSTER,
            "endpoints": [
                {
                    "lb_endpoints": [
                        {"endpoint": {"address": socket_address(*split_address(each))}} for each in options.upstreams
                    ]
                }
            ],
        },
    }


def overload_manager(options: GatewayOptions) -> Json:
    """Return the bounds of the whole: memory, beyond which calls are refused, and connections."""
    heap = "envoy.resource_monitors.fixed_heap"
    return {
        "refresh_interval": "0.25s",
        "resource_monitors": [
            extension(
                heap,
                {
                    "@type": f"{EXTENSIONS}.resource_monitors.fixed_heap.v3.FixedHeapConfig",
                    "max_heap_size_bytes": options.max_heap_bytes,
                },
            ),
            extension(
                "envoy.resource_monitors.global_downstream_max_connections",
                {
                    "@type": f"{EXTENSIONS}.resource_monitors.downstream_connections.v3.DownstreamConnectionsConfig",
                    "max_active_downstream_connections": MAX_CONNECTIONS,
                },
            ),
        ],
        "actions": [
            {
                "name": "envoy.overload_actions.stop_accepting_requests",
                "triggers": [{"name": heap, "threshold": {"value": 0.95}}],
            }
        ],
    }


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
