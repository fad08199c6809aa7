"""Every request message, filled with whatever fits its descriptor: no answer is a fault of the service's own.

Numbers of images that are fine and costly are left out: 3 to 10.
"""

from collections.abc import Iterator
from typing import Any

import grpc
import pytest
from google.api.httpbody_pb2 import HttpBody
from google.protobuf.descriptor import Descriptor, FieldDescriptor
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass
from grpc import StatusCode
from hypothesis import given
from hypothesis import strategies as st
from imageservice.v1 import image_service_pb2 as pb

from limner.domain import limits
from tests import pictures
from tests.fuzzing import fuzzing
from tests.rpc.answers import answer, failure
from tests.service import Service
from tests.tenant import Tenant, tenant_of

SERVICE = pb.DESCRIPTOR.services_by_name["ImageService"]
RPCS = sorted((method.name for method in SERVICE.methods), key=lambda name: name == "DeleteImage")
"""The one that takes images from the others comes last."""
FINE = {
    StatusCode.OK,
    StatusCode.INVALID_ARGUMENT,
    StatusCode.NOT_FOUND,
    StatusCode.ALREADY_EXISTS,
    StatusCode.PERMISSION_DENIED,
}
CALL_LIMIT_S = 20.0
DRAWING = {"GenerateImages", "EditImages", "RunTask"}

HUGE_TEXTS = ["x" * (limits.MAX_PROMPT_CHARS + 1), "ü\n" * limits.MAX_PROMPT_CHARS, "🦊" * 300, "%" * 5_000]
ODD_TEXTS = ["\0", "a\0b", "\u202e", "../../etc/passwd", "'; DROP TABLE images; --", "%00", "\ud7ff\ue000", " ", "\r\n"]
BAD_PICTURES = [
    pictures.truncated(pictures.png()),
    pictures.dimension_bomb(),
    pictures.svg(),
    pictures.apng(),
    pictures.PNG_SIGNATURE,
]
PLAUSIBLE: dict[str, list[Any]] = {
    "model_id": ["sketch", "realesr-animevideo"],
    "aspect_ratio": ["1:1", "auto"],
    "output_format": ["png", "jpeg", "webp"],
    "num_images": [1, 2],
    "upscale_factor": [2, 3, 4],
    "page_size": [0, 1, 200],
    "width": [0, 128, 256],
    "format": ["", "webp", "jpeg"],
    "ttl_seconds": [60, 3600],
    "prompt": ["a fox", "black and white"],
    "data": [pictures.png(), pictures.jpeg(), pictures.webp()],
    "seed": [0, 2**32 - 1],
    "request_id": [f"request-{number}" for number in range(10_000)],
}
"""Values by the names of fields, beside which there is whatever fits the type."""

TYPES: dict[int, st.SearchStrategy[Any]] = {
    FieldDescriptor.TYPE_STRING: st.text(max_size=200) | st.sampled_from([*ODD_TEXTS, *HUGE_TEXTS]),
    FieldDescriptor.TYPE_BYTES: st.binary(max_size=500) | st.sampled_from(BAD_PICTURES),
    FieldDescriptor.TYPE_INT32: st.integers(-(2**31), 2**31 - 1).filter(lambda number: not 3 <= number <= 10),
    FieldDescriptor.TYPE_UINT32: st.integers(0, 2**32 - 1),
}
ABSENT = object()


class Fuzz:
    """Requests about a workspace with some images and a generation in it."""

    def __init__(self, tenant: Tenant) -> None:
        self.tenant = tenant
        self.callers = {"member": tenant.metadata("ada"), "admin": tenant.metadata("root", admin=True)}
        made = [self._upload(user) for user in ("member", "member", "admin")]
        request = pb.GenerateImagesRequest(workspace_id=tenant.id, prompt="a fox")
        generation = tenant.stub.GenerateImages(request, metadata=self.callers["member"])
        images = [each.id for each in made]  # small ones, so that they are enlarged at once
        edit = pb.EditImagesRequest(workspace_id=tenant.id, prompt="warmer", image_ids=[made[0].id])
        derived = tenant.stub.EditImages(edit, metadata=self.callers["member"])
        images = [each.id for each in made]  # small ones, so that they are enlarged at once
        self.plausible = {
            **PLAUSIBLE,
            "workspace_id": [tenant.id],
            "image_id": images,
            "image_ids": images,
            "generation_id": [generation.generation_id, derived.generation_id],
            "created_by_user_id": ["ada"],
        }

    def _upload(self, caller: str) -> Any:
        request = pb.UploadImageRequest(workspace_id=self.tenant.id, picture=HttpBody(data=pictures.png()))
        return self.tenant.stub.UploadImage(request, metadata=self.callers[caller])

    def requests(self, descriptor: Descriptor | None) -> st.SearchStrategy[Message]:
        """Messages most of whose fields are there and plausible, so that many get past the first checks."""
        assert descriptor is not None
        plain = {field.name: self._values(field) for field in descriptor.fields if not _is_choice(field)}
        chosen = st.one_of(st.just({}), *(self._alone(field) for field in _choices(descriptor)))
        return st.tuples(st.fixed_dictionaries(plain), chosen).map(lambda both: _message(descriptor, both[0] | both[1]))

    def _alone(self, field: FieldDescriptor) -> st.SearchStrategy[dict[str, Any]]:
        return self._values(field).map(lambda value: {field.name: value})

    def _values(self, field: FieldDescriptor) -> st.SearchStrategy[Any]:
        if field.type == FieldDescriptor.TYPE_MESSAGE:
            one: st.SearchStrategy[Any] = self.requests(field.message_type)
        else:
            anything = TYPES[field.type]
            known = self.plausible.get(field.name)
            one = mostly(st.sampled_from(known), anything) if known else anything
        if field.is_repeated:
            return mostly(st.lists(one, min_size=1, max_size=2), st.lists(one, max_size=limits.MAX_INPUT_IMAGES + 2))
        return one if _is_choice(field) else mostly(one, st.just(ABSENT))


def mostly(usual: st.SearchStrategy[Any], odd: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    """Nine times out of ten the usual."""
    return st.sampled_from([usual] * 9 + [odd]).flatmap(lambda strategy: strategy)


def _choices(descriptor: Descriptor) -> list[FieldDescriptor]:
    return [field for field in descriptor.fields if _is_choice(field)]


def _is_choice(field: FieldDescriptor) -> bool:
    """Tell whether the field is one of several; an optional field is a choice of its own and does not count."""
    return field.containing_oneof is not None and len(field.containing_oneof.fields) > 1


def _message(descriptor: Descriptor, fields: dict[str, Any]) -> Message:
    return GetMessageClass(descriptor)(**{name: value for name, value in fields.items() if value is not ABSENT})


def check(fuzz: Fuzz, rpc: str, examples: int) -> None:
    """Make calls of one kind, and look at the status of each."""
    method = getattr(fuzz.tenant.stub, rpc)
    seen = set()

    @fuzzing(examples)
    @given(fuzz.requests(SERVICE.methods_by_name[rpc].input_type), st.sampled_from(sorted(fuzz.callers)))
    def never_fails(request: Message, caller: str) -> None:
        done = answer(method, request, fuzz.callers[caller], timeout=CALL_LIMIT_S)
        assert done.code in FINE, done
        seen.add(done.code)
        if done.code is not StatusCode.OK:
            assert done.reason

    never_fails()
    assert StatusCode.OK in seen, f"no request got through: {seen}"


@pytest.fixture(scope="module")
def embedded(service: Service) -> Iterator[Fuzz]:
    with tenant_of(service) as tenant:
        yield Fuzz(tenant)


@pytest.fixture(scope="module")
def hosted(hosted_service: Service) -> Iterator[Fuzz]:
    with tenant_of(hosted_service) as tenant:
        yield Fuzz(tenant)


@pytest.mark.parametrize("rpc", RPCS)
def test_no_message_makes_the_embedded_service_fail(embedded: Fuzz, rpc: str) -> None:
    check(embedded, rpc, examples=100 if rpc in DRAWING else 250)


@pytest.mark.parametrize("rpc", RPCS)
def test_no_message_makes_the_hosted_service_fail(hosted: Fuzz, rpc: str) -> None:
    check(hosted, rpc, examples=100)


@pytest.mark.parametrize("rpc", ["GetImage", "GetImageContent"])
@pytest.mark.parametrize(
    "request_bytes", [b"\xff" * 20, b"\x0a\x01\xff", bytes(range(256))], ids=["tag", "utf-8", "junk"]
)
def test_bytes_that_are_no_message_are_refused(
    service: Service, tenant: Tenant, rpc: str, request_bytes: bytes
) -> None:
    with grpc.insecure_channel(service.grpc_address) as channel:
        call: Any = channel.unary_stream(f"/{SERVICE.full_name}/{rpc}")
        with pytest.raises(grpc.RpcError) as refusal:
            list(call(request_bytes, metadata=tenant.metadata()))

    done = failure(refusal.value, [])
    assert done.code is StatusCode.INVALID_ARGUMENT
    assert done.violations == {"request": "can't be read: it is not a message of its type"}
