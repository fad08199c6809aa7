"""Smaller pictures and other formats, made once and kept as long as their picture."""

import io
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import grpc
import httpx
import pytest
from imageservice.v1 import image_service_pb2 as pb
from PIL import Image, ImageCms

from tests import pictures
from tests.service import Service
from tests.tenant import Tenant
from tests.web.kept import Kept

WIDE = pictures.encoded(pictures.noise(600, 300), "PNG")
FORMATS = {"png": "PNG", "jpeg": "JPEG", "webp": "WEBP", "avif": "AVIF"}


def opened(response: httpx.Response) -> Image.Image:
    assert response.status_code == 200, response.text
    picture = Image.open(io.BytesIO(response.content))
    assert response.headers["content-type"] == picture.get_format_mimetype()
    return picture


def files(service: Service, image_id: str) -> list[str]:
    """The files of an image's derivatives."""
    return sorted(path.name for path in Path(service.data_dir, "images", "variants").glob(f"*/{image_id}/*"))


@pytest.fixture
def wide(tenant: Tenant) -> Kept:
    return Kept(tenant, WIDE)


@pytest.mark.parametrize("name", FORMATS)
@pytest.mark.parametrize("width", [128, 512])
def test_a_derivative_has_the_width_and_format_that_is_asked_for(wide: Kept, width: int, name: str) -> None:
    picture = opened(wide.ada.get(f"{wide.path}?width={width}&format={name}"))

    assert (picture.format, picture.size) == (FORMATS[name], (width, width // 2))


@pytest.mark.parametrize("query", ["width=1024", "width=2048", "width=1024&format=png", "format=png"])
def test_a_picture_is_never_enlarged(wide: Kept, query: str) -> None:
    assert opened(wide.ada.get(f"{wide.path}?{query}")).size == (600, 300)
    assert files(wide.tenant.service, wide.image["id"]) == ["full.png"]


def test_without_a_format_it_has_its_pictures(tenant: Tenant) -> None:
    kept = Kept(tenant, pictures.jpeg(300, 200))

    assert opened(kept.ada.get(f"{kept.path}?width=128")).format == "JPEG"


@pytest.mark.parametrize("prefix", ["/v1", "/api/image-service/v1"])
def test_the_same_is_answered_again_with_an_etag_of_its_own(wide: Kept, prefix: str) -> None:
    client = wide.tenant.rest(prefix=prefix)
    first, second = (client.get(f"{wide.path}?width=256&format=webp") for _ in range(2))
    etags = {first.headers["etag"], wide.etag, client.head(f"{wide.path}?width=128&format=webp").headers["etag"]}

    assert first.content == second.content
    assert first.headers["etag"] == second.headers["etag"]
    assert len(etags) == 3
    known = client.get(f"{wide.path}?width=256&format=webp", headers={"if-none-match": first.headers["etag"]})
    assert (known.status_code, known.content) == (304, b"")
    part = client.get(f"{wide.path}?width=256&format=webp", headers={"range": "bytes=0-3"})
    assert (part.status_code, part.content) == (206, b"RIFF")


def test_many_who_ask_at_once_get_the_same_bytes(wide: Kept) -> None:
    def ask(_: int) -> bytes:
        return wide.ada.get(f"{wide.path}?width=512&format=avif").content

    with ThreadPoolExecutor(8) as pool:
        answers = set(pool.map(ask, range(16)))

    assert len(answers) == 1
    assert files(wide.tenant.service, wide.image["id"]) == ["512.avif"]


def test_grpc_has_the_same(wide: Kept) -> None:
    rest = wide.ada.get(f"{wide.path}?width=256&format=webp")
    request = pb.GetImageContentRequest(
        workspace_id=wide.tenant.id, image_id=wide.image["id"], width=256, format="webp"
    )

    call = wide.tenant.stub.GetImageContent(request, metadata=wide.tenant.metadata())
    bodies = list(call)
    headers = dict(call.initial_metadata())

    assert b"".join(body.data for body in bodies) == rest.content
    assert {body.content_type for body in bodies} == {"image/webp"}
    assert (headers["etag"], headers["x-content-length"]) == (rest.headers["etag"], str(len(rest.content)))


@pytest.mark.parametrize(("wrong", "field"), [({"width": 100}, "width"), ({"format": "gif"}, "format")])
def test_grpc_refuses_the_same(wide: Kept, wrong: Mapping[str, int | str], field: str) -> None:
    request = pb.GetImageContentRequest(workspace_id=wide.tenant.id, image_id=wide.image["id"], **wrong)  # type: ignore[arg-type]

    with pytest.raises(grpc.RpcError) as refusal:
        list(wide.tenant.stub.GetImageContent(request, metadata=wide.tenant.metadata()))

    assert refusal.value.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert f"{field}: must be one of" in (refusal.value.details() or "")


def test_derivatives_go_with_their_picture(wide: Kept) -> None:
    for name in FORMATS:
        wide.ada.get(f"{wide.path}?width=128&format={name}")
    assert len(files(wide.tenant.service, wide.image["id"])) == 4

    wide.ada.delete(f"/images/{wide.image['id']}")

    assert files(wide.tenant.service, wide.image["id"]) == []
    assert wide.ada.get(f"{wide.path}?width=128&format=webp").status_code == 404


def test_it_stands_upright_and_says_nothing_of_where_it_was_taken(tenant: Tenant) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6  # turned a quarter
    exif[0x010E] = "at home"
    file = io.BytesIO()
    Image.new("RGB", (300, 200), "red").save(file, "JPEG", exif=exif)
    kept = Kept(tenant, file.getvalue())

    picture = opened(kept.ada.get(f"{kept.path}?width=128"))

    assert picture.size == (128, 192)
    assert not picture.getexif()


@pytest.mark.parametrize("name", FORMATS)
def test_the_colour_profile_stays(tenant: Tenant, name: str) -> None:
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    file = io.BytesIO()
    Image.new("RGB", (300, 200), "red").save(file, "PNG", icc_profile=profile)
    kept = Kept(tenant, file.getvalue())

    assert opened(kept.ada.get(f"{kept.path}?width=128&format={name}")).info["icc_profile"] == profile


@pytest.mark.parametrize("name", FORMATS)
@pytest.mark.parametrize("mode", ["L", "LA", "P", "RGBA", "1"])
def test_every_kind_of_picture_has_derivatives(tenant: Tenant, mode: str, name: str) -> None:
    file = io.BytesIO()
    Image.new("RGBA", (300, 200), (255, 0, 0, 0)).convert(mode).save(file, "PNG")
    kept = Kept(tenant, file.getvalue())

    picture = opened(kept.ada.get(f"{kept.path}?width=128&format={name}"))

    assert picture.size == (128, 85)
    if mode == "RGBA":
        corner = picture.convert("RGBA").getpixel((0, 0))
        assert corner == (255, 255, 255, 255) if name == "jpeg" else corner[3] == 0  # type: ignore[index]


def test_a_large_photograph_becomes_small(tenant: Tenant) -> None:
    file = io.BytesIO()
    Image.effect_noise((512, 512), 60).resize((4000, 3000)).convert("RGB").save(file, "JPEG", quality=80)
    kept = Kept(tenant, file.getvalue())

    assert opened(kept.ada.get(f"{kept.path}?width=2048&format=webp")).size == (2048, 1536)
