"""What every JSON error must look like."""

from typing import Any

import httpx

TYPE = "type.googleapis.com/google.rpc."


def error_of(response: httpx.Response) -> dict[str, Any]:
    """Return the error of an answer, after looking at everything that holds for all errors."""
    assert response.headers["content-type"] == "application/json"
    assert len(response.headers.get_list("x-request-id")) == 1
    assert not [name for name in response.headers if name.startswith(("grpc-", "x-envoy-"))]
    error: dict[str, Any] = response.json()
    assert set(error) == {"code", "message", "details"}
    assert isinstance(error["code"], int)
    return error


def detail(error: dict[str, Any], name: str) -> dict[str, Any]:
    """Return the only detail of a type, such as ``ErrorInfo``."""
    (found,) = [each for each in error["details"] if each["@type"] == TYPE + name]
    return dict(found)


def violations(response: httpx.Response) -> dict[str, str]:
    """Return the wrong fields that an INVALID_FIELD error names, with what is wrong."""
    assert response.status_code in (400, 413, 416)
    error = error_of(response)
    assert error["code"] == 3
    assert detail(error, "ErrorInfo")["reason"] == "INVALID_FIELD"
    assert detail(error, "ErrorInfo")["domain"] == "imageservice"
    return {each["field"]: each["description"] for each in detail(error, "BadRequest")["fieldViolations"]}
