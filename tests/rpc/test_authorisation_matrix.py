"""Every call of the descriptor × every kind of caller. A new call fails here until it has a row and a policy."""

import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import grpc
import pytest
from google.api.httpbody_pb2 import HttpBody
from google.protobuf.message import Message
from grpc import StatusCode
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2
from imageservice.v1 import image_service_pb2 as pb
from imageservice.v1 import image_service_pb2_grpc

from limner.rpc.policies import POLICIES, Access
from tests.pictures import png
from tests.rpc.answers import answer
from tests.service import running_service
from tests.unit.auth.issuer import SigningKey, encode_part, jwks, signing_key

SERVICE = pb.DESCRIPTOR.services_by_name["ImageService"]
RPCS = [method.name for method in SERVICE.methods]
ISSUER, AUDIENCE = "https://login.example", "limner"
NOWHERE = "0" * 32

OK, DENIED, NOT_FOUND = StatusCode.OK, StatusCode.PERMISSION_DENIED, StatusCode.NOT_FOUND
REASONS = {DENIED: "PERMISSION_DENIED", StatusCode.UNAUTHENTICATED: "CREDENTIALS_INVALID"}


def token(user: str, workspaces: object = None, key: SigningKey | None = None, **claims: Any) -> str:
    claims = {"sub": user, "workspaces": workspaces or {}, "iss": ISSUER, "aud": AUDIENCE, **claims}
    return (key or signing_key("trusted")).token(**claims)


def unsigned() -> str:
    claims = {"sub": "ada", "workspaces": {"acme": "member"}, "iss": ISSUER, "aud": AUDIENCE, "exp": time.time() + 60}
    return f"{encode_part({'alg': 'none'})}.{encode_part(claims)}."


MEMBER = {"acme": "member"}
REFUSED: Mapping[str, Callable[[], str]] = {
    "no token": lambda: "",
    "expired": lambda: token("ada", MEMBER, exp=int(time.time()) - 3600),
    "wrong key": lambda: token("ada", MEMBER, SigningKey("trusted", "ES256", signing_key("other").private)),
    "unknown key": lambda: token("ada", MEMBER, signing_key("other")),
    "wrong audience": lambda: token("ada", MEMBER, aud="somebody else"),
    "wrong issuer": lambda: token("ada", MEMBER, iss="https://evil.example"),
    "alg none": unsigned,
}
ACCEPTED: Mapping[str, Callable[[], str]] = {
    "stranger": lambda: token("eve", {"elsewhere": "admin"}),
    "member": lambda: token("bob", MEMBER),
    "owner": lambda: token("ada", MEMBER),
    "workspace admin": lambda: token("wanda", {"acme": "admin"}),
    "admin": lambda: token("root", admin=True),
}


class World:
    """A service with a key set, an issuer and an audience, and what Ada made in it."""

    def __init__(self, channel: grpc.Channel) -> None:
        self.channel = channel
        self.stub = image_service_pb2_grpc.ImageServiceStub(channel)
        made = self.call("GenerateImages", pb.GenerateImagesRequest(workspace_id="acme", prompt="a fox"), "owner")
        self.generation_id: str = made.generation_id
        self.image_id = self.upload()

    def upload(self) -> str:
        request = pb.UploadImageRequest(workspace_id="acme", picture=HttpBody(data=png()))
        return str(self.call("UploadImage", request, "owner").id)

    def call(self, rpc: str, request: Message, caller: str) -> Any:
        done = answer(getattr(self.stub, rpc), request, metadata(ACCEPTED[caller]()))
        assert done.code is OK, done
        return done.messages[0]


@dataclass(frozen=True)
class Row:
    """A request about what Ada made, and how it ends for a stranger and for each kind of member."""

    request: Callable[[World], Message]
    stranger: StatusCode = DENIED
    member: StatusCode = OK
    owner: StatusCode = OK
    workspace_admin: StatusCode = OK
    admin: StatusCode = OK

    def expected(self, caller: str) -> StatusCode:
        return StatusCode(getattr(self, caller.replace(" ", "_")))


def owners_own(request: Callable[[World], Message]) -> Row:
    """What its maker alone may do, admins not."""
    return Row(request, member=DENIED, workspace_admin=DENIED, admin=DENIED)


def edit(world: World) -> pb.EditImagesRequest:
    return pb.EditImagesRequest(workspace_id="acme", prompt="black and white", image_ids=[world.image_id])


def upscale(world: World) -> pb.UpscaleImageRequest:
    return pb.UpscaleImageRequest(
        workspace_id="acme", image_id=world.image_id, model_id="realesr-animevideo", upscale_factor=2
    )


ROWS: Mapping[str, list[Row]] = {
    "GenerateImages": [Row(lambda _: pb.GenerateImagesRequest(workspace_id="acme", prompt="a fox"))],
    "EditImages": [owners_own(edit)],
    "UpscaleImage": [owners_own(upscale)],
    "RunTask": [
        Row(lambda _: pb.RunTaskRequest(workspace_id="acme", generate=pb.GenerateImagesRequest(prompt="a fox"))),
        owners_own(lambda world: pb.RunTaskRequest(workspace_id="acme", edit=edit(world))),
        owners_own(lambda world: pb.RunTaskRequest(workspace_id="acme", upscale=upscale(world))),
    ],
    "GetGeneration": [
        Row(lambda world: pb.GetGenerationRequest(workspace_id="acme", generation_id=world.generation_id)),
        Row(
            lambda _: pb.GetGenerationRequest(workspace_id="acme", generation_id=NOWHERE),
            DENIED,
            NOT_FOUND,
            NOT_FOUND,
            NOT_FOUND,
            NOT_FOUND,
        ),
    ],
    "CancelGeneration": [
        Row(
            lambda world: pb.CancelGenerationRequest(workspace_id="acme", generation_id=world.generation_id),
            member=DENIED,
        )
    ],
    "UploadImage": [Row(lambda _: pb.UploadImageRequest(workspace_id="acme", picture=HttpBody(data=png())))],
    "GetImage": [
        Row(lambda world: pb.GetImageRequest(workspace_id="acme", image_id=world.image_id)),
        Row(
            lambda _: pb.GetImageRequest(workspace_id="acme", image_id=NOWHERE),
            DENIED,
            NOT_FOUND,
            NOT_FOUND,
            NOT_FOUND,
            NOT_FOUND,
        ),
        Row(  # an image of one workspace is not there in another
            lambda world: pb.GetImageRequest(workspace_id="elsewhere", image_id=world.image_id),
            NOT_FOUND,
            DENIED,
            DENIED,
            DENIED,
            NOT_FOUND,
        ),
    ],
    "ListImages": [Row(lambda _: pb.ListImagesRequest(workspace_id="acme"))],
    "DeleteImage": [
        Row(lambda world: pb.DeleteImageRequest(workspace_id="acme", image_id=world.upload()), member=DENIED)
    ],
    "GetImageContent": [Row(lambda world: pb.GetImageContentRequest(workspace_id="acme", image_id=world.image_id))],
    "GetProvenance": [Row(lambda world: pb.GetProvenanceRequest(workspace_id="acme", image_id=world.image_id))],
    "VerifyImage": [Row(lambda _: pb.VerifyImageRequest(workspace_id="acme", picture=HttpBody(data=png())))],
    "SignContentUrl": [Row(lambda world: pb.SignContentUrlRequest(workspace_id="acme", image_id=world.image_id))],
    "ListModels": [Row(lambda _: pb.ListModelsRequest(), stranger=OK)],
    "GetUsage": [Row(lambda _: pb.GetUsageRequest(workspace_id="acme"))],
}
CELLS = [
    pytest.param(rpc, row, caller, id=f"{rpc}-{number}-{caller}".replace("-0-", "-"))
    for rpc, rows in ROWS.items()
    for number, row in enumerate(rows)
    for caller in ACCEPTED
]


def metadata(token: str) -> tuple[tuple[str, str], ...]:
    return (("authorization", f"Bearer {token}"),) if token else ()


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    folder: Path = tmp_path_factory.mktemp("matrix")
    (folder / "jwks.json").write_bytes(jwks(signing_key("trusted")))
    settings = {
        "LIMNER_AUTH_JWKS": str(folder / "jwks.json"),
        "LIMNER_AUTH_ISSUER": ISSUER,
        "LIMNER_AUTH_AUDIENCE": AUDIENCE,
    }
    with (
        running_service(folder / "data", "--no-gateway", env=settings) as service,
        grpc.insecure_channel(service.grpc_address) as channel,
    ):
        yield World(channel)


def test_every_call_has_a_row() -> None:
    assert set(ROWS) == set(RPCS)


def test_every_call_has_a_policy_and_only_health_and_reflection_are_open() -> None:
    own = {method for method in POLICIES if method.startswith(f"/{SERVICE.full_name}/")}
    assert own == {f"/{SERVICE.full_name}/{rpc}" for rpc in RPCS}
    calls = {name: access for name, access in POLICIES.items() if name.startswith("/")}
    opened = {method.split("/")[1] for method, access in calls.items() if access is Access.OPEN}
    assert opened == {
        "grpc.health.v1.Health",
        "grpc.reflection.v1.ServerReflection",
        "grpc.reflection.v1alpha.ServerReflection",
    }


def test_a_call_that_names_a_workspace_asks_for_membership() -> None:
    for method in SERVICE.methods:
        names_workspace = "workspace_id" in method.input_type.fields_by_name
        assert POLICIES[f"/{SERVICE.full_name}/{method.name}"] is (Access.MEMBER if names_workspace else Access.TOKEN)


@pytest.mark.parametrize("caller", REFUSED)
@pytest.mark.parametrize("rpc", RPCS)
def test_without_an_accepted_token_nothing_is_answered(world: World, rpc: str, caller: str) -> None:
    request = ROWS[rpc][0].request(world)

    done = answer(getattr(world.stub, rpc), request, metadata(REFUSED[caller]()))

    assert (done.code, done.messages) == (StatusCode.UNAUTHENTICATED, [])
    assert done.reason == ("CREDENTIALS_MISSING" if caller == "no token" else "CREDENTIALS_INVALID")


@pytest.mark.parametrize(("rpc", "row", "caller"), CELLS)
def test_each_caller_may_do_what_the_row_says(world: World, rpc: str, row: Row, caller: str) -> None:
    done = answer(getattr(world.stub, rpc), row.request(world), metadata(ACCEPTED[caller]()))

    assert done.code is row.expected(caller), done
    if done.code in REASONS:
        assert done.reason == REASONS[done.code]
        assert done.messages == []


def health_stub(world: World) -> Any:
    return health_pb2_grpc.HealthStub(world.channel)


@pytest.mark.parametrize("service_name", ["", SERVICE.full_name])
def test_health_is_open(world: World, service_name: str) -> None:
    request = health_pb2.HealthCheckRequest(service=service_name)

    assert health_stub(world).Check(request).status == health_pb2.HealthCheckResponse.SERVING


def test_watching_the_health_is_open(world: World) -> None:
    watch = health_stub(world).Watch(health_pb2.HealthCheckRequest())

    assert next(watch).status == health_pb2.HealthCheckResponse.SERVING
    watch.cancel()


@pytest.mark.parametrize("version", ["v1", "v1alpha"])
def test_reflection_is_open(world: World, version: str) -> None:
    reflect = world.channel.stream_stream(
        f"/grpc.reflection.{version}.ServerReflection/ServerReflectionInfo",
        request_serializer=reflection_pb2.ServerReflectionRequest.SerializeToString,
        response_deserializer=reflection_pb2.ServerReflectionResponse.FromString,
    )

    (told,) = reflect(iter([reflection_pb2.ServerReflectionRequest(list_services="*")]))

    assert SERVICE.full_name in [each.name for each in told.list_services_response.service]


def test_a_call_that_nobody_knows_is_unimplemented(world: World) -> None:
    unknown: Any = world.channel.unary_unary(f"/{SERVICE.full_name}/Nope")

    with pytest.raises(grpc.RpcError) as refusal:
        unknown(b"")

    assert refusal.value.code() is StatusCode.UNIMPLEMENTED
