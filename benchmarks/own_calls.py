"""What the service does beside buying: uploads, content and lists, by 8 callers over gRPC."""

import statistics
from collections.abc import Iterator
from typing import Final

import grpc
from google.api.httpbody_pb2 import HttpBody
from google.protobuf.message import Message
from imageservice.v1 import image_service_pb2_grpc
from imageservice.v1.image_service_pb2 import (
    GetImageContentRequest,
    ListImagesRequest,
    UploadImageRequest,
)

from benchmarks import load, photographs, processor_time
from benchmarks.photographs import Photograph
from benchmarks.report import Figure
from benchmarks.service import WORKSPACE, Running

METHODS: Final = "/imageservice.v1.ImageService"
CALLERS: Final = 8
ROUNDS: Final = 3
PAGE: Final = 50


def figures(service: Running) -> Iterator[Figure]:
    """Upload, read and list; yield rates and processor time."""
    for picture in (photographs.PNG_1_4_MIB, photographs.JPEG_4_MIB):
        yield measured(service, f"upload: {picture.name}", "UploadImage", upload_of(picture), 24)
    for picture in (photographs.PNG_12_KIB, photographs.PNG_1_4_MIB):
        wanted = GetImageContentRequest(workspace_id=WORKSPACE, image_id=uploaded(service, picture))
        yield measured(service, f"content: {picture.name}", "GetImageContent", wanted, 160)
    page = ListImagesRequest(workspace_id=WORKSPACE, page_size=PAGE)
    yield measured(service, f"list: a page of {PAGE} images", "ListImages", page, 160)


def measured(service: Running, what: str, method: str, request: Message, calls: int) -> Figure:
    rates, costs = [], []
    for _ in range(ROUNDS):
        before = processor_time.of_tree(service.process)
        outcome = load.run_here(
            load.Load(
                address=service.grpc_address,
                method=f"{METHODS}/{method}",
                request=request.SerializeToString(),
                metadata=service.metadata(),
                calls=calls,
                connections=4,
                callers=CALLERS // 4,
            )
        )
        rates.append(calls / outcome.seconds)
        costs.append((processor_time.of_tree(service.process) - before) / calls * 1000)
    note = f"{min(rates):,.0f} to {max(rates):,.0f}; {statistics.median(costs):.2f} ms of processor time each"
    return Figure(what, f"{statistics.median(rates):,.0f} /s", note)


def upload_of(picture: Photograph) -> UploadImageRequest:
    body = HttpBody(content_type=f"image/{picture.format}", data=picture.encoded())
    return UploadImageRequest(workspace_id=WORKSPACE, picture=body)


def uploaded(service: Running, picture: Photograph) -> str:
    with grpc.insecure_channel(service.grpc_address, options=(("grpc.max_send_message_length", -1),)) as channel:
        stub = image_service_pb2_grpc.ImageServiceStub(channel)
        return stub.UploadImage(upload_of(picture), metadata=service.metadata()).id
