"""What is told of pictures' marks over REST."""

from typing import Any

import httpx

from limner.domain import limits
from tests import pictures
from tests.rest.errors import detail, error_of, violations
from tests.rest.test_service_seed import uploaded
from tests.tenant import Tenant

ABSENT = {
    "kind": "C2PA",
    "state": "ABSENT",
    "by": "unknown",
    "issuer": "",
    "actions": [],
    "ingredients": [],
    "problems": [],
}


def verified(client: httpx.Client, picture: bytes, content_type: str = "image/png") -> Any:
    response = client.post("/images:verify", content=picture, headers={"content-type": content_type})
    assert response.status_code == 200, response.text
    return response.json()


def c2pa(answer: Any) -> Any:
    (mark,) = [each for each in answer["marks"] if each["kind"] == "C2PA"]
    return mark


def test_an_image_without_marks_is_said_to_have_none(tenant: Tenant) -> None:
    ada = tenant.rest()
    image = uploaded(ada, pictures.png(24, 16))

    answer = ada.get(f"/images/{image['id']}/provenance").json()

    assert c2pa(answer) == ABSENT
    assert answer["sourceType"] == "UNKNOWN"


def test_a_watermark_that_is_not_looked_for_is_said_to_be_absent_and_why(tenant: Tenant) -> None:
    told = verified(tenant.rest(), pictures.png(24, 16))

    (mark,) = [each for each in told["marks"] if each["kind"] == "WATERMARK"]
    assert mark == ABSENT | {"kind": "WATERMARK", "problems": ["not looked for: LIMNER_WATERMARK is off"]}


def test_any_picture_is_verified_and_nothing_of_it_is_kept(tenant: Tenant) -> None:
    ada = tenant.rest()

    assert c2pa(verified(ada, pictures.jpeg(24, 16), "image/jpeg")) == ABSENT
    assert ada.get("/images").json()["images"] == []


def test_a_broken_manifest_is_an_answer_and_no_error(tenant: Tenant) -> None:
    broken = pictures.png(16, 16, before=pictures.chunk(b"caBX", b"\0\0\0\x20jumb\0\0\0\x18jumdc2pa\0\0\0\0"))

    mark = c2pa(verified(tenant.rest(), broken))

    assert mark["state"] == "INVALID"
    assert mark["problems"]


def test_what_is_no_picture_is_refused_by_name(tenant: Tenant) -> None:
    headers = {"content-type": "image/png"}
    response = tenant.rest().post("/images:verify", content=b"%PDF-1.7 and so on", headers=headers)

    assert response.status_code == 400
    assert detail(error_of(response), "ErrorInfo")["reason"] == "INVALID_FIELD"
    assert list(violations(response)) == ["picture"]


def test_a_picture_of_over_20_mib_is_not_looked_at(tenant: Tenant) -> None:
    large = bytes(limits.MAX_UPLOAD_BYTES + 1)
    response = tenant.rest().post("/images:verify", content=large, headers={"content-type": "image/png"})

    assert response.status_code == 413


def test_the_marks_of_what_is_not_there_are_not_found(tenant: Tenant) -> None:
    for name in ("0" * 32, "nothing"):
        response = tenant.rest().get(f"/images/{name}/provenance")
        assert (response.status_code, detail(error_of(response), "ErrorInfo")["reason"]) == (404, "IMAGE_NOT_FOUND")


def test_strangers_are_told_nothing(tenant: Tenant) -> None:
    image = uploaded(tenant.rest(), pictures.png())
    stranger = tenant.rest("eve")
    stranger.headers.update(dict(tenant.service.metadata("eve", workspaces={})))

    assert stranger.get(f"/images/{image['id']}/provenance").status_code == 403
    posted = stranger.post("/images:verify", content=pictures.png(), headers={"content-type": "image/png"})
    assert posted.status_code == 403
