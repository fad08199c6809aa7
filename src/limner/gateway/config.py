"""Envoy's configuration, built from the service's descriptor.

One port takes REST (transcoded to gRPC), native gRPC and grpc-web. Every error that Envoy itself answers to a REST
client is ``{"code", "message", "details"}`` in JSON, as the service's own are.
"""

import base64
from typing import Final

from limner.domain.limits import KIB, MIB
from limner.gateway.clusters import MAX_CONNECTIONS, clusters
from limner.gateway.descriptors import SERVICE, descriptor_set
from limner.gateway.filter import MAX_JSON_BYTES, admission_filter, drain_filter, lua_filter
from limner.gateway.notation import EXTENSIONS, FILTERS, Json, duration, extension, socket_address
from limner.gateway.options import GatewayOptions
from limner.gateway.replies import local_replies
from limner.gateway.routes import virtual_host
from limner.gateway.tls import transport_socket

HEADERS_TIMEOUT_S: Final = 10
CONNECTION_IDLE_S: Final = 120
"""How long a connection stays on which nobody asks for anything: there are so many, and no more."""

ENVOY_HEADERS_KB: Final = 96
"""Above what ``rest.lua`` allows, since Envoy answers nothing in JSON to what is too large for itself in HTTP/2."""

MAX_STREAMS: Final = 256
"""Calls at a time on one HTTP/2 connection; each takes 17 KiB, even of a stranger who asks for nothing further.

gRPC clients wait by themselves for the next to be free, or open another connection.
"""


def gateway_config(options: GatewayOptions) -> Json:
    """Return Envoy's bootstrap configuration. It opens no admin port, and names no file but those of TLS."""
    return {
        "node": {"id": "limner", "cluster": "limner"},
        "static_resources": {"listeners": [listener(options)], "clusters": clusters(options)},
        "stats_config": {"stats_matcher": {"reject_all": True}},
        "overload_manager": overload_manager(options),
    }


def listener(options: GatewayOptions) -> Json:
    """Return the one listener. Its port is not shared, so that a second gateway on it fails instead of taking half."""
    chain: Json = {"filters": [extension("network.http_connection_manager.v3", connections(options))]}
    if options.tls is not None:
        chain["transport_socket"] = transport_socket(options.tls, options.tls_folder)
    return {
        "name": "http",
        "address": socket_address(options.host, options.port),
        "enable_reuse_port": False,
        "per_connection_buffer_limit_bytes": MAX_JSON_BYTES,
        "filter_chains": [chain],
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
        "common_http_protocol_options": {"idle_timeout": duration(CONNECTION_IDLE_S)},
        "max_request_headers_kb": ENVOY_HEADERS_KB,
        "http2_protocol_options": {
            "max_concurrent_streams": MAX_STREAMS,
            "initial_stream_window_size": 64 * KIB,
            "initial_connection_window_size": MIB,
        },
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


def http_filters(options: GatewayOptions) -> list[Json]:
    """Return the filters in the order in which a request meets them; an answer meets them in reverse."""
    return [
        *(cors_filters() if options.cors_origins else []),
        extension("admission", admission_filter()),
        extension("drain", drain_filter()),
        extension("lua", lua_filter(options.max_body_bytes)),
        extension("grpc_web", {"@type": f"{FILTERS}.http.grpc_web.v3.GrpcWeb"}),
        extension("transcoder", transcoder(options)),
        extension("router", {"@type": f"{FILTERS}.http.router.v3.Router", "suppress_envoy_headers": True}),
    ]


def cors_filters() -> list[Json]:
    """Return what lets pages of some origins call, and tells caches that the answer depends on the origin."""
    vary = {"append": {"header": {"key": "vary", "value": "origin"}, "append_action": "APPEND_IF_EXISTS_OR_ADD"}}
    mutation = {
        "@type": f"{FILTERS}.http.header_mutation.v3.HeaderMutation",
        "mutations": {"response_mutations": [vary]},
    }
    return [extension("vary", mutation), extension("cors", {"@type": f"{FILTERS}.http.cors.v3.Cors"})]


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


def overload_manager(options: GatewayOptions) -> Json:
    """Return the bounds of the whole: memory, beyond which calls are refused, and connections; and when they leave."""
    heap = "envoy.resource_monitors.fixed_heap"
    manager: Json = {
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
        "actions": [action("stop_accepting_requests", heap, 0.95)],
    }
    if options.leaving_file is not None:
        # Envoy's own way of draining asks for an admin port. Each answer says ``connection: close``, or GOAWAY.
        leaving = "envoy.resource_monitors.injected_resource"
        monitor = {
            "@type": f"{EXTENSIONS}.resource_monitors.injected_resource.v3.InjectedResourceConfig",
            "filename": str(options.leaving_file),
        }
        manager["resource_monitors"].append(extension(leaving, monitor))
        manager["actions"].append(action("disable_http_keepalive", leaving, 0.5))
    return manager


def action(name: str, resource: str, threshold: float) -> Json:
    """Return what is done when a resource is used up to a threshold."""
    triggers = [{"name": resource, "threshold": {"value": threshold}}]
    return {"name": f"envoy.overload_actions.{name}", "triggers": triggers}
