"""The three task calls as they are documented, and the JSON that answers them."""

from datetime import UTC, datetime
from typing import Any

import httpx

GENERATE, EDIT, UPSCALE = "/image-generation-tasks", "/image-edit-tasks", "/image-upscale-tasks"
UPSCALER = "realesr-animevideo"
IMAGE_FIELDS = {
    "id": str,
    "generationId": str,
    "workspaceId": str,
    "createdByUserId": str,
    "prompt": str,
    "model": str,
    "parameters": dict,
    "inputImageIds": list,
    "imageWidth": int,
    "imageHeight": int,
    "imageSize": int,
    "createdAt": str,
    "updatedAt": str,
    "_links": dict,
}


def made(response: httpx.Response) -> dict[str, Any]:
    """Return the answer of a task call that made all it was asked for, after looking at all of its fields."""
    assert response.status_code == 200, response.text
    assert response.headers["content-type"] == "application/json"
    answer: dict[str, Any] = response.json()
    assert set(answer) == {"images", "generationId", "description"}
    assert isinstance(answer["description"], str)
    for image in answer["images"]:
        check_image(image)
        assert image["generationId"] == answer["generationId"]
    return answer


def check_image(image: dict[str, Any]) -> None:
    """Look at the type of every field of an image."""
    assert {name: type(value) for name, value in image.items()} == IMAGE_FIELDS
    assert set(image["_links"]) == {"content"}
    assert all(isinstance(each, str) for each in image["inputImageIds"])
    for name in ("createdAt", "updatedAt"):
        assert image[name].endswith("Z")
        assert abs((datetime.now(UTC) - datetime.fromisoformat(image[name])).total_seconds()) < 300
