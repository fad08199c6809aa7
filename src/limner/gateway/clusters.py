"""What stands behind the gateway: the workers, and how it is seen that one is down."""

from collections.abc import Sequence
from typing import Final

from limner.domain.limits import MIB
from limner.gateway.notation import EXTENSIONS, Json, duration, is_ip, socket_address, split_address
from limner.gateway.options import GatewayOptions

WORKERS: Final = "workers"
WEB: Final = "web"
ACCEPTING: Final = "/-/accepting"
"""Where a worker's HTTP listener says whether it takes requests."""

MAX_CONNECTIONS: Final = 10_000
CONNECT_TIMEOUT_S: Final = 2
HEALTH_INTERVAL_S: Final = 1
HEALTH_TIMEOUT_S: Final = 2
EJECTION_S: Final = 5
WEB_IDLE_S: Final = 600


def clusters(options: GatewayOptions) -> list[Json]:
    """Return all that routes may lead to."""
    return [workers(options), *([web(options)] if options.web_upstreams else [])]


def workers(options: GatewayOptions) -> Json:
    """Return the workers: one HTTP/2 connection to each, calls in turn."""
    # No table of headers that all callers share: one caller's could make another's call fail.
    protocol = {"explicit_http_config": {"http2_protocol_options": {"hpack_table_size": 0}}}
    return cluster(WORKERS, options.upstreams, options, protocol, {"grpc_health_check": {}})


def web(options: GatewayOptions) -> Json:
    """Return the same workers' HTTP listeners: a connection for each request at a time, kept for the next."""
    protocol = {
        "explicit_http_config": {"http_protocol_options": {}},
        # Shorter than the workers keep theirs, so that none is taken in the moment in which it is closed.
        "common_http_protocol_options": {"idle_timeout": duration(WEB_IDLE_S)},
    }
    return cluster(WEB, options.web_upstreams, options, protocol, {"http_health_check": {"path": ACCEPTING}})


def cluster(name: str, addresses: Sequence[str], options: GatewayOptions, protocol: Json, health: Json) -> Json:
    """Return workers behind one protocol."""
    return {
        "name": name,
        "type": "STATIC" if all(is_ip(split_address(each)[0]) for each in addresses) else "STRICT_DNS",
        "lb_policy": "ROUND_ROBIN",
        "connect_timeout": duration(CONNECT_TIMEOUT_S),
        "per_connection_buffer_limit_bytes": MIB,
        "circuit_breakers": {
            "thresholds": [
                {
                    "max_connections": MAX_CONNECTIONS,
                    "max_pending_requests": options.max_calls_in_flight,
                    "max_requests": options.max_calls_in_flight,
                    # Else three at a time, and calls are refused as if too much were in flight when a worker restarts.
                    "max_retries": options.max_calls_in_flight,
                }
            ]
        },
        "typed_extension_protocol_options": {
            "envoy.extensions.upstreams.http.v3.HttpProtocolOptions": {
                "@type": f"{EXTENSIONS}.upstreams.http.v3.HttpProtocolOptions",
                **protocol,
            }
        },
        "health_checks": [health_check(health)],
        "outlier_detection": outlier_detection(),
        # Where all of them seem to be down they are asked all the same.
        "common_lb_config": {"healthy_panic_threshold": {"value": 1}},
        "load_assignment": {
            "cluster_name": name,
            "endpoints": [
                {
                    "lb_endpoints": [
                        {"endpoint": {"address": socket_address(*split_address(each))}} for each in addresses
                    ]
                }
            ],
        },
    }


def outlier_detection() -> Json:
    """Return how a worker that takes no connection is passed over, before its health was asked for again.

    What a worker answers counts for nothing here: a provider's outage is told by all of them.
    """
    return {
        "split_external_local_origin_errors": True,
        "consecutive_local_origin_failure": 3,
        "enforcing_consecutive_local_origin_failure": 100,
        "enforcing_local_origin_success_rate": 0,
        "enforcing_consecutive_5xx": 0,
        "enforcing_consecutive_gateway_failure": 0,
        "enforcing_success_rate": 0,
        "max_ejection_percent": 100,
        "interval": duration(HEALTH_INTERVAL_S),
        "base_ejection_time": duration(HEALTH_INTERVAL_S),
        "max_ejection_time": duration(EJECTION_S),
    }


def health_check(kind: Json) -> Json:
    """Return how it is seen that a worker hangs, drains or is gone: calls go to the others then.

    What it has begun is left to it: a purchase can't be asked for again elsewhere.
    """
    every = duration(HEALTH_INTERVAL_S)
    return {
        "timeout": duration(HEALTH_TIMEOUT_S),
        "interval": every,
        "no_traffic_interval": every,
        "no_traffic_healthy_interval": every,
        "unhealthy_threshold": 2,
        "healthy_threshold": 1,
        **kind,
    }
