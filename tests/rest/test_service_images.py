"""Pictures of one's own, looking, listing and deleting, over REST."""

from collections.abc import Callable
from typing import Any

import httpx
import pytest
from google.api.httpbody_pb2 import HttpBody
from imageservice.v1 import image_service_pb2 as pb

from limner.domain import limits
from limner.service.caller import Role
from tests import phones, pictures
from tests.rest.errors import detail, error_of, violations
from tests.rest.seed import EDIT, GENERATE, UPSCALE, UPSCALER, check_image, made
from tests.rest.test_service_seed import uploaded
from tests.tenant import PREFIXES, Tenant

TYPES = {"png": pictures.png, "jpeg": pictures.jpeg, "webp": pictures.webp}


def reason(response: httpx.Response) -> str:
    return str(detail(error_of(response), "ErrorInfo")["reason"])


@pytest.mark.parametrize("kind", TYPES)
def test_an_upload_is_kept_as_it_came(tenant: Tenant, kind: str) -> None:
    ada = tenant.rest()
    picture = TYPES[kind](24, 16)

    image = uploaded(ada, picture, f"image/{kind}")

    check_image(image)
    assert (image["imageWidth"], image["imageHeight"], image["imageSize"]) == (24, 16, len(picture))
    assert (image["createdByUserId"], image["generationId"], image["model"], image["prompt"]) == ("ada", "", "", "")
    assert (image["parameters"], image["inputImageIds"]) == ({}, [])
    content = ada.get(tenant.url(image["_links"]["content"]))
    assert content.content == picture
    assert content.headers["content-type"] == f"image/{kind}"
    assert content.headers["content-length"] == str(len(picture))


def test_the_content_type_of_an_upload_is_not_relied_on(tenant: Tenant) -> None:
    image = uploaded(tenant.rest(), pictures.jpeg(), "image/png")

    assert tenant.rest().get(tenant.url(image["_links"]["content"])).headers["content-type"] == "image/jpeg"


def test_a_picture_of_20_mib_is_taken_and_comes_back(tenant: Tenant) -> None:
    plain = pictures.png(16, 16)
    room = limits.MAX_UPLOAD_BYTES - len(plain) - 12
    picture = pictures.png(16, 16, after=pictures.chunk(b"prVt", bytes(room)))
    assert len(picture) == limits.MAX_UPLOAD_BYTES

    image = uploaded(tenant.rest(), picture)

    assert image["imageSize"] == limits.MAX_UPLOAD_BYTES
    assert tenant.rest().get(tenant.url(image["_links"]["content"])).content == picture


@pytest.mark.parametrize("chunked", [False, True])
def test_a_byte_more_is_refused(tenant: Tenant, chunked: bool) -> None:
    data = bytes(limits.MAX_UPLOAD_BYTES + 1)
    body = (data[start : start + limits.MIB] for start in range(0, len(data), limits.MIB)) if chunked else data

    response = tenant.rest().post("/images", content=body, headers={"content-type": "image/png"})

    assert response.status_code == 413
    assert error_of(response)["code"] == 3
    assert "20 MiB" in error_of(response)["message"]


BAD: dict[str, Callable[[], bytes]] = {
    "nothing": lambda: b"",
    "noise": lambda: b"\x00" * 100,
    "bomb": pictures.dimension_bomb,
    "inflating bomb": lambda: pictures.inflating_bomb(64 << 20),
    "truncated png": lambda: pictures.truncated(pictures.encoded(pictures.noise(64, 64), "PNG")),
    "truncated jpeg": lambda: pictures.truncated(pictures.encoded(pictures.noise(64, 64), "JPEG")),
    "truncated webp": lambda: pictures.truncated(pictures.encoded(pictures.noise(64, 64), "WEBP")),
    "svg": pictures.svg,
    "gif": pictures.gif,
    "animated png": pictures.apng,
    "animated webp": pictures.animated_webp,
}

PHONES: dict[str, tuple[bytes, bytes]] = {
    "motion photo": phones.motion_photo(),
    "samsung": phones.samsung(),
    "ultra hdr": phones.ultra_hdr(),
    "png and zip": (pictures.png(), pictures.with_zip_behind(pictures.png())),
    "jpeg and html": (pictures.jpeg(), pictures.with_html_behind(pictures.jpeg())),
}


@pytest.mark.parametrize("name", PHONES)
def test_of_an_upload_the_first_picture_is_kept_and_nothing_behind_it(tenant: Tenant, name: str) -> None:
    still, file = PHONES[name]
    rest = tenant.rest()

    answer = rest.post("/images", content=file, headers={"content-type": "image/jpeg"})

    assert answer.status_code == 200
    assert rest.get(f"/images/{answer.json()['id']}/content").content == still


@pytest.mark.parametrize(("make", "kind"), [(phones.heic, "heic"), (phones.avif, "avif")])
def test_heic_and_avif_are_kept_as_jpeg_in_the_size_that_is_shown(
    tenant: Tenant, make: Callable[..., bytes], kind: str
) -> None:
    rest = tenant.rest()

    image = rest.post("/images", content=make(turn=6), headers={"content-type": f"image/{kind}"}).json()

    assert (image["imageWidth"], image["imageHeight"]) == (64, 96)
    assert rest.get(f"/images/{image['id']}/content").headers["content-type"] == "image/jpeg"


@pytest.mark.parametrize("name", BAD)
def test_what_is_no_good_picture_is_refused_in_plain_words(tenant: Tenant, name: str) -> None:
    response = tenant.rest().post("/images", content=BAD[name](), headers={"content-type": "image/png"})

    assert response.status_code == 400
    (field, description), *more = violations(response).items()
    assert (field, more) == ("picture", [])
    assert len(description) > 10
    assert tenant.rest().get("/images").json()["images"] == []


def test_a_refused_upload_names_its_size(tenant: Tenant) -> None:
    response = tenant.rest().post("/images", content=pictures.dimension_bomb(), headers={"content-type": "image/png"})

    assert "60000x60000" in violations(response)["picture"]


def test_an_image_is_shown_as_the_task_call_showed_it(tenant: Tenant) -> None:
    ada = tenant.rest()
    answer = made(ada.post(GENERATE, json={"prompt": "a fox"}))

    assert ada.get(f"/images/{answer['images'][0]['id']}").json() == answer["images"][0]
    assert tenant.rest("bob").get("/images").json() == {"images": answer["images"], "nextPageToken": ""}


@pytest.mark.parametrize("image_id", ["0" * 32, "nonsense", "..", "%2e%2e%2f", "%00", "%FF", "%F0%9F%A6%8A"])
@pytest.mark.parametrize("rest", ["", "/content"])
def test_an_unknown_image_is_not_found(tenant: Tenant, image_id: str, rest: str) -> None:
    response = tenant.rest().get(f"/images/{image_id}{rest}")

    assert response.status_code in (400, 404), response.text
    assert error_of(response)["code"] in (3, 5)


class TestList:
    """Three pages of seven images, the oldest uploaded first."""

    @pytest.fixture
    def ids(self, tenant: Tenant) -> list[str]:
        users = ["ada", "bob"] * 3 + ["ada"]
        return [uploaded(tenant.rest(user))["id"] for user in users]

    def pages(self, client: httpx.Client, **query: Any) -> list[list[str]]:
        pages: list[list[str]] = []
        token = ""
        while not pages or token:
            answer = client.get("/images", params={**query, "pageToken": token}).json()
            assert set(answer) == {"images", "nextPageToken"}
            pages.append([image["id"] for image in answer["images"]])
            token = answer["nextPageToken"]
        return pages

    def test_the_newest_come_first_page_by_page(self, tenant: Tenant, ids: list[str]) -> None:
        newest = ids[::-1]

        assert self.pages(tenant.rest(), pageSize=3) == [newest[:3], newest[3:6], newest[6:]]
        assert self.pages(tenant.rest(prefix=PREFIXES[1])) == [newest]
        assert self.pages(tenant.rest(), pageSize=0) == [newest]

    def test_a_list_shows_one_user(self, tenant: Tenant, ids: list[str]) -> None:
        assert self.pages(tenant.rest(), createdByUserId="bob", pageSize=2) == [[ids[5], ids[3]], [ids[1]]]
        assert self.pages(tenant.rest(), createdByUserId="nobody") == [[]]
        assert self.pages(tenant.rest(), createdByUserId="\0") == [[]]

    def test_a_list_shows_one_generation(self, tenant: Tenant, ids: list[str]) -> None:
        answer = made(tenant.rest().post(GENERATE, json={"prompt": "a fox", "numImages": 2}))

        (page,) = self.pages(tenant.rest(), generationId=answer["generationId"])

        assert set(page) == {image["id"] for image in answer["images"]}
        assert self.pages(tenant.rest(), generationId="nonsense") == [[]]

    def test_a_token_belongs_to_its_filters(self, tenant: Tenant, ids: list[str]) -> None:
        ada = tenant.rest()
        token = ada.get("/images", params={"pageSize": 1}).json()["nextPageToken"]

        response = ada.get("/images", params={"pageToken": token, "createdByUserId": "ada"})

        assert set(violations(response)) == {"pageToken"}

    @pytest.mark.parametrize("token", ["x", "AAAA", "====", "%FF", "🦊", "x" * 2_000])
    def test_an_invented_token_is_refused(self, tenant: Tenant, token: str) -> None:
        assert set(violations(tenant.rest().get("/images", params={"pageToken": token}))) == {"pageToken"}

    @pytest.mark.parametrize("size", ["-1", "many", "1.5", "9999999999"])
    def test_a_wrong_page_size_is_refused(self, tenant: Tenant, size: str) -> None:
        assert set(violations(tenant.rest().get("/images", params={"pageSize": size}))) == {"pageSize"}


def test_a_page_has_at_most_200_images(tenant: Tenant) -> None:
    ada = tenant.rest()
    picture = pictures.png()
    for _ in range(202):
        uploaded(ada, picture)

    assert len(ada.get("/images", params={"pageSize": 2_000_000_000}).json()["images"]) == 200
    assert len(ada.get("/images").json()["images"]) == 50


@pytest.mark.parametrize(
    ("user", "rights", "status"),
    [
        ("ada", {}, 200),
        ("bob", {}, 403),
        ("wanda", {"role": Role.ADMIN}, 200),
        ("root", {"admin": True}, 200),
    ],
)
def test_the_maker_and_admins_delete(tenant: Tenant, user: str, rights: dict[str, Any], status: int) -> None:
    image_id = uploaded(tenant.rest("ada"))["id"]

    response = tenant.rest(user, **rights).delete(f"/images/{image_id}")

    assert response.status_code == status
    if status == 200:
        assert response.json() == {}
        assert reason(tenant.rest().get(f"/images/{image_id}")) == "IMAGE_NOT_FOUND"
        assert reason(tenant.rest().get(f"/images/{image_id}/content")) == "IMAGE_NOT_FOUND"
        assert reason(tenant.rest().delete(f"/images/{image_id}")) == "IMAGE_NOT_FOUND"
        assert tenant.rest().get("/images").json()["images"] == []
    else:
        assert tenant.rest().get(f"/images/{image_id}").status_code == 200


@pytest.mark.parametrize("task", ["edit", "upscale"])
def test_a_deleted_input_stays_traceable_as_long_as_what_was_made_from_it(tenant: Tenant, task: str) -> None:
    ada = tenant.rest()
    picture = pictures.png(12, 8)
    source = uploaded(ada, picture)["id"]
    bodies = {
        "edit": (EDIT, {"prompt": "warmer", "imageIds": [source], "numImages": 2}),
        "upscale": (UPSCALE, {"imageId": source, "modelId": UPSCALER, "upscaleFactor": 2}),
    }
    path, body = bodies[task]
    answer = made(ada.post(path, json=body))
    derived = [image["id"] for image in answer["images"]]

    assert ada.delete(f"/images/{source}").status_code == 200

    assert reason(ada.get(f"/images/{source}")) == "IMAGE_NOT_FOUND"
    assert reason(ada.get(f"/images/{source}/content")) == "IMAGE_NOT_FOUND"
    generation = ada.get(f"/generations/{answer['generationId']}").json()
    (traced,) = generation["inputImages"]
    assert (traced["id"], traced["imageWidth"], traced["imageHeight"]) == (source, 12, 8)
    for prefix in PREFIXES:
        content = ada.get(tenant.url(prefix + traced["_links"]["content"].removeprefix("/v1")))
        assert content.content == picture
        assert content.headers["etag"]
    assert reason(ada.post(path, json=body)) == "IMAGE_NOT_FOUND"

    for image_id in derived:
        assert ada.get(tenant.url(traced["_links"]["content"])).status_code == 200
        assert ada.delete(f"/images/{image_id}").status_code == 200
    assert reason(ada.get(tenant.url(traced["_links"]["content"]))) == "IMAGE_NOT_FOUND"
    assert not kept(tenant, [source, *derived])


def kept(tenant: Tenant, image_ids: list[str]) -> list[str]:
    """Which of the images still have bytes in the store of the embedded service."""
    files = [path.name for path in (tenant.service.data_dir / "images").rglob("*") if path.is_file()]
    return [image_id for image_id in image_ids if any(image_id in name for name in files)]


def test_the_bytes_of_an_image_lie_in_the_store_until_it_is_deleted(tenant: Tenant) -> None:
    image_id = uploaded(tenant.rest())["id"]
    assert kept(tenant, [image_id]) == [image_id]

    tenant.rest().delete(f"/images/{image_id}")

    assert kept(tenant, [image_id]) == []


def test_an_input_is_read_by_its_generation_only(tenant: Tenant) -> None:
    ada = tenant.rest()
    source, other = uploaded(ada)["id"], uploaded(ada)["id"]
    answer = made(ada.post(EDIT, json={"prompt": "warmer", "imageIds": [source]}))

    response = ada.get(f"/generations/{answer['generationId']}/inputs/{other}/content")

    assert reason(response) == "IMAGE_NOT_FOUND"


@pytest.mark.parametrize("workspace", ["a b", "a?b#c", "50%", "%41", "é🦊", "a+b", "a:b"])
def test_the_links_of_a_workspace_with_an_odd_name_lead_to_its_pictures(tenant: Tenant, workspace: str) -> None:
    tenant.id = workspace
    ada = tenant.rest()
    upload = pb.UploadImageRequest(workspace_id=workspace, picture=HttpBody(data=pictures.png()))
    image = tenant.stub.UploadImage(upload, metadata=tenant.metadata())

    content = ada.get(tenant.url(image.links.content))

    assert content.status_code == 200, content.text
    assert content.content == pictures.png()
