"""Lets a request that is no message of its type through to where it is refused as any wrong request is."""

from collections.abc import Callable
from typing import Any

from google.protobuf.message import DecodeError


class Undecodable:
    """What takes the place of a request whose bytes can't be read."""


def lenient(decode: Callable[[bytes], Any]) -> Callable[[bytes], Any]:
    """Return what reads ``Undecodable`` where gRPC would answer UNKNOWN, with the parser's words."""

    def decoded(data: bytes) -> Any:
        try:
            return decode(data)
        except DecodeError:
            return Undecodable()

    return decoded
