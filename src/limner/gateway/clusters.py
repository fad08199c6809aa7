"""What stands behind the gateway: the workers, and how it is seen that one is down."""

from typing import Final

from limner.domain.limits import MIB
from limner.gateway.notation import EXTENSIONS, Json, duration, is_ip, socket_address, split_address
from limner.gateway.options import GatewayOptions

WORKERS: Final = "workers"
MAX_CONNECTIONS: Final = 10_000
CONNECT_TIMEOUT_S: Final = 2


def clusters(options: GatewayOptions) -> list[Json]:
    """Return all that routes may lead to."""
    return [workers(options)]


def workers(options: GatewayOptions) -> Json:
    """Return the workers: one HTTP/2 connection to each, calls in turn."""
    return {
        "name": WORKERS,
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
            "cluster_name": WORKERS,
            "endpoints": [
                {
                    "lb_endpoints": [
                        {"endpoint": {"address": socket_address(*split_address(each))}} for each in options.upstreams
                    ]
                }
            ],
        },
    }
