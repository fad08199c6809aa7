"""How Envoy's own answers look: the service's JSON errors to REST clients, untouched to gRPC clients."""

from collections.abc import Sequence
from typing import Final

from limner.domain.limits import MIB
from limner.gateway.notation import Json

GRPC_TYPES: Final = r"application/grpc(-web(-text)?)?(\+[^;]*)?( *;.*)?"
DOMAIN: Final = "imageservice"
RETRY_AFTER_S: Final = 1
TYPE: Final = "type.googleapis.com/google.rpc"

INVALID_ARGUMENT, DEADLINE_EXCEEDED, NOT_FOUND, RESOURCE_EXHAUSTED, INTERNAL, UNAVAILABLE = 3, 4, 5, 8, 13, 14

NO_CALL: Final = "No call answers %REQ(:METHOD)% %PATH(NQ:ORIG_OR_PATH)%."


def local_replies(max_body_bytes: int) -> Json:
    """Return the mapping of Envoy's own answers; the first mapper that fits is used."""
    too_large = f"The body is too large: a picture may have {max_body_bytes // MIB} MiB, any other body 1 MiB."
    return {
        "mappers": [
            admission(),
            invalid_fields(),
            to_grpc_clients(),
            unreachable(),
            overloaded(),
            reply(404, NOT_FOUND, NO_CALL),
            queried(),
            reply(408, DEADLINE_EXCEEDED, "The request did not arrive in time."),
            reply(413, INVALID_ARGUMENT, too_large, invalid("body", too_large)),
            reply(431, INVALID_ARGUMENT, "The headers are too large.", invalid("headers", "are too large")),
            unavailable(),
            transfer_encoding(),
            upgrade(),
            reply(504, DEADLINE_EXCEEDED, "The call took too long."),
            internal(),
            reply(400, INVALID_ARGUMENT, "%LOCAL_REPLY_BODY%", invalid("body", "%LOCAL_REPLY_BODY%"), op="GE"),
        ],
    }


def to_grpc_clients() -> Json:
    """Leave answers to gRPC and grpc-web clients as they are: Envoy sends them as a gRPC status."""
    content_type = {"name": "content-type", "string_match": {"safe_regex": {"regex": GRPC_TYPES}}}
    transcoded = {"name": "x-envoy-original-path", "present_match": True, "invert_match": True}
    return {
        "filter": all_of({"header_filter": {"header": content_type}}, {"header_filter": {"header": transcoded}}),
        "body_format_override": {"text_format_source": {"inline_string": "%LOCAL_REPLY_BODY%"}},
    }


def admission() -> Json:
    """Pass on with what words a worker refused to let a body come."""
    return {
        "filter": told("refusal"),
        "body_format_override": {
            "text_format_source": {"inline_string": "%LOCAL_REPLY_BODY%"},
            "content_type": "application/json",
        },
    }


def told(key: str) -> Json:
    """Return a filter of requests about which a Lua filter told something."""
    matcher = {"filter": "limner", "path": [{"key": key}], "value": {"present_match": True}}
    return {"metadata_filter": {"matcher": matcher, "match_if_key_not_found": False}}


def unreachable() -> Json:
    """Answer a call that no worker took, also where there were too many such to try them all again."""
    filters = {"response_flag_filter": {"flags": ["UF", "UC", "UH"]}}
    return unavailable() | {"filter": filters, "status_code": 503}


def unavailable() -> Json:
    """Answer a call when the service is down."""
    return reply(503, UNAVAILABLE, "The service is not available now.", [error_info("SERVICE_UNAVAILABLE")])


def transfer_encoding() -> Json:
    """Answer a transfer encoding that is not known, for which Envoy has a status of the server's faults."""
    problem = "must be chunked or absent"
    return reply(501, INVALID_ARGUMENT, f"transfer-encoding: {problem}", invalid("transfer-encoding", problem)) | {
        "status_code": 400
    }


def upgrade() -> Json:
    """Answer who asks for another protocol, which Envoy forbids."""
    problem = "is not taken: no call speaks another protocol"
    return reply(403, INVALID_ARGUMENT, f"upgrade: {problem}", invalid("upgrade", problem)) | {"status_code": 400}


def overloaded() -> Json:
    """Answer a call beyond the bound of those in flight."""
    retry = {"@type": f"{TYPE}.RetryInfo", "retryDelay": f"{RETRY_AFTER_S}s"}
    message = "Too much is in flight. Try again later."
    return {
        "filter": {"response_flag_filter": {"flags": ["UO"]}},
        "status_code": 429,
        "body_format_override": json_body(RESOURCE_EXHAUSTED, message, [error_info("OVERLOADED"), retry]),
        "headers_to_add": [header("retry-after", str(RETRY_AFTER_S))],
    }


def invalid_fields() -> Json:
    """Answer the violations that ``rest.lua`` found."""
    violations = [error_info("INVALID_FIELD"), bad_request("%DYNAMIC_METADATA(limner:violations)%")]
    return {
        "filter": told("violations"),
        "body_format_override": json_body(INVALID_ARGUMENT, "%LOCAL_REPLY_BODY%", violations),
    }


def queried() -> Json:
    """Answer QUERY without a content type as any wrong method: Envoy refuses it before it looks for a route."""
    method = {"name": ":method", "string_match": {"exact": "QUERY"}}
    answer = reply(400, NOT_FOUND, NO_CALL)
    return answer | {"status_code": 404, "filter": all_of(answer["filter"], {"header_filter": {"header": method}})}


def internal() -> Json:
    """Answer every other fault of the gateway's own."""
    message = "The gateway could not answer this call."
    return reply(500, INTERNAL, message, [error_info("INTERNAL")], op="GE") | {"status_code": 500}


def reply(http_status: int, code: int, message: str, details: Sequence[Json] = (), *, op: str = "EQ") -> Json:
    """Answer an HTTP status of Envoy's with a gRPC code. What is not HTTP at all got no request id before."""
    comparison = {"op": op, "value": {"default_value": http_status, "runtime_key": f"limner.status_{http_status}"}}
    return {
        "filter": {"status_code_filter": {"comparison": comparison}},
        "body_format_override": json_body(code, message, details),
        "headers_to_add": [header("x-request-id", "%UNIQUE_ID%")],
    }


def header(name: str, value: str) -> Json:
    """Return a header to add where it is missing."""
    return {"header": {"key": name, "value": value}, "append_action": "ADD_IF_ABSENT"}


def json_body(code: int, message: str, details: Sequence[Json]) -> Json:
    """Return the body of an error. Envoy escapes what it fills in."""
    return {"json_format": {"code": code, "message": message, "details": [*details]}}


def invalid(field: str, description: str) -> list[Json]:
    """Return the details of one wrong field."""
    return [error_info("INVALID_FIELD"), bad_request([{"field": field, "description": description}])]


def error_info(reason: str) -> Json:
    """Return the detail that names the reason."""
    return {"@type": f"{TYPE}.ErrorInfo", "reason": reason, "domain": DOMAIN, "metadata": {}}


def bad_request(violations: object) -> Json:
    """Return the detail that names the wrong fields."""
    return {"@type": f"{TYPE}.BadRequest", "fieldViolations": violations}


def all_of(*filters: Json) -> Json:
    """Return a filter that needs all of the given ones."""
    return {"and_filter": {"filters": filters}}
