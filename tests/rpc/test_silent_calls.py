"""Callers who begin an upload and send nothing."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import grpc
import pytest
from google.api.httpbody_pb2 import HttpBody
from grpc import StatusCode
from imageservice.v1 import image_service_pb2 as pb

from limner.rpc.interceptors.receiving import HELD_S, UPLOADS_AT_ONCE
from tests.http2 import HalfSent
from tests.pictures import png
from tests.service import Service
from tests.tenant import Metadata, Tenant

UPLOAD = "/imageservice.v1.ImageService/UploadImage"
SILENT = 12
SOON_S = 2.0
"""Longer than an upload that is not there keeps its place, and much shorter than a dozen of them would."""


@contextmanager
def silent_uploads(service: Service, metadata: Callable[[int], Metadata]) -> Iterator[None]:
    """A dozen connections that sent the headers of an upload and its first bytes."""
    headers = [(":method", "POST"), (":scheme", "http"), (":path", UPLOAD), (":authority", "limner")]
    headers += [("content-type", "application/grpc"), ("te", "trailers")]
    with ExitStack() as closing:
        for number in range(SILENT):
            call = HalfSent(service.grpc_address, [*headers, *metadata(number)])
            closing.callback(call.hang_up)
            call.send(b"\0" + (1 << 20).to_bytes(4))
        yield


def seconds_of_an_upload(tenant: Tenant) -> float:
    """Return what the longest of a few took, the first of which may have been before the silent ones."""
    request = pb.UploadImageRequest(workspace_id=tenant.id, picture=HttpBody(data=png()))
    longest_s = 0.0
    for _ in range(3):
        began = time.monotonic()
        assert tenant.stub.UploadImage(request, metadata=tenant.metadata("honest"), timeout=60).id
        longest_s = max(longest_s, time.monotonic() - began)
    return longest_s


def test_silence_without_a_token_holds_nobody_up(service: Service, tenant: Tenant) -> None:
    with silent_uploads(service, lambda _: ()):
        assert seconds_of_an_upload(tenant) < SOON_S


def test_the_silence_of_one_member_holds_no_other_up(service: Service, tenant: Tenant) -> None:
    with silent_uploads(service, lambda _: tenant.metadata("silent")):
        assert seconds_of_an_upload(tenant) < SOON_S


def test_the_silence_of_many_members_holds_no_other_up_for_long(service: Service, tenant: Tenant) -> None:
    with silent_uploads(service, lambda number: tenant.metadata(f"silent-{number}")):
        assert seconds_of_an_upload(tenant) < SILENT * HELD_S / UPLOADS_AT_ONCE + SOON_S


def test_a_stranger_is_refused_before_anything_of_the_message_came(service: Service) -> None:
    told = threading.Event()

    def silent() -> Iterator[bytes]:
        told.wait(60)
        yield b""

    with grpc.insecure_channel(service.grpc_address) as channel:
        upload: Any = channel.stream_unary(UPLOAD)
        try:
            with pytest.raises(grpc.RpcError) as raised:
                upload(silent(), timeout=30)
        finally:
            told.set()
    assert raised.value.code() is StatusCode.UNAUTHENTICATED
