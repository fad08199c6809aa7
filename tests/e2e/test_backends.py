"""The same short life of some pictures on every kind of database and store."""

from collections.abc import Iterator

import httpx
import pytest

from tests import pictures
from tests.rest.errors import detail, error_of
from tests.rest.seed import EDIT, GENERATE, UPSCALE, UPSCALER, made
from tests.rest.test_service_seed import uploaded
from tests.service import Service
from tests.tenant import Tenant, tenant_of


@pytest.fixture(params=["service", "hosted_service"], ids=["sqlite and files", "postgresql and gcs"])
def backend(request: pytest.FixtureRequest) -> Iterator[Tenant]:
    service: Service = request.getfixturevalue(request.param)
    with tenant_of(service) as tenant:
        yield tenant


def test_pictures_are_made_changed_read_listed_counted_and_deleted(backend: Tenant) -> None:
    ada = backend.rest()
    generated = made(ada.post(GENERATE, json={"prompt": "a red fox", "numImages": 2, "seed": 7}))
    fox = generated["images"][0]
    edited = made(ada.post(EDIT, json={"prompt": "black and white", "imageIds": [fox["id"]], "outputFormat": "webp"}))
    small = uploaded(ada, pictures.png(12, 8))
    upscaled = made(ada.post(UPSCALE, json={"imageId": small["id"], "modelId": UPSCALER, "upscaleFactor": 4}))

    images = [*generated["images"], *edited["images"], small, *upscaled["images"]]
    listed = ada.get("/images").json()["images"]
    assert sorted(listed, key=lambda image: image["id"]) == sorted(images, key=lambda image: image["id"])
    assert [image["createdAt"] for image in listed] == sorted((image["createdAt"] for image in images), reverse=True)
    for image in images:
        content = ada.get(backend.url(image["_links"]["content"])).content
        assert len(content) == image["imageSize"]
        assert pictures.decoded(content).size == (image["imageWidth"], image["imageHeight"])
    assert ada.get("/usage").json()["images"] == {"used": 4, "reserved": 0}

    for image in images:
        assert ada.delete(f"/images/{image['id']}").status_code == 200
        gone = ada.get(backend.url(image["_links"]["content"]))
        assert detail(error_of(gone), "ErrorInfo")["reason"] == "IMAGE_NOT_FOUND"
    assert ada.get("/images").json() == {"images": [], "nextPageToken": ""}
    assert ada.get("/usage").json()["images"] == {"used": 4, "reserved": 0}


def test_pages_follow_each_other(backend: Tenant) -> None:
    ada = backend.rest()
    ids = [uploaded(ada)["id"] for _ in range(5)]

    first = ada.get("/images", params={"pageSize": 3}).json()
    second = ada.get("/images", params={"pageSize": 3, "pageToken": first["nextPageToken"]}).json()

    assert [image["id"] for image in first["images"] + second["images"]] == ids[::-1]
    assert second["nextPageToken"] == ""


def test_a_picture_of_20_mib_goes_both_ways(backend: Tenant) -> None:
    ada = backend.rest()
    room = 20 * 1024 * 1024 - len(pictures.png()) - 12
    picture = pictures.png(after=pictures.chunk(b"prVt", bytes(room)))

    image = uploaded(ada, picture)

    assert ada.get(backend.url(image["_links"]["content"])).content == picture


def test_a_deleted_input_stays_traceable(backend: Tenant) -> None:
    ada = backend.rest()
    source = uploaded(ada)
    answer = made(ada.post(EDIT, json={"prompt": "warmer", "imageIds": [source["id"]]}))
    ada.delete(f"/images/{source['id']}")

    (traced,) = ada.get(f"/generations/{answer['generationId']}").json()["inputImages"]

    assert ada.get(backend.url(traced["_links"]["content"])).content == pictures.png()
    ada.delete(f"/images/{answer['images'][0]['id']}")
    assert ada.get(backend.url(traced["_links"]["content"])).status_code == 404


def test_content_is_read_in_part_and_smaller_and_goes_as_a_whole(backend: Tenant) -> None:
    ada = backend.rest()
    data = pictures.encoded(pictures.noise(700, 500), "PNG")
    image = uploaded(ada, data)
    path = backend.url(image["_links"]["content"])

    parts = [ada.get(path, headers={"range": f"bytes={part}"}).content for part in ("0-99", "100-300000", "300001-")]
    assert b"".join(parts) == data
    assert ada.head(path).headers["content-length"] == str(len(data))
    smaller = [ada.get(f"{path}?width=128&format=webp") for _ in range(2)]
    assert smaller[0].content == smaller[1].content
    assert pictures.decoded(smaller[0].content).size == (128, 91)
    signed = ada.post(f"/images/{image['id']}:signContentUrl", json={"width": 128, "format": "webp"}).json()["url"]
    assert httpx.get(signed).content == smaller[0].content

    ada.delete(f"/images/{image['id']}")
    assert [httpx.get(signed).status_code, ada.get(f"{path}?width=128&format=webp").status_code] == [404, 404]
