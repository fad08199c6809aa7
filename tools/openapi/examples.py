"""Requests and answers to begin with."""

from typing import Any, Final

Json = dict[str, Any]

IMAGE_ID: Final = "01a2079770a177ed95db331e13365d7d"
GENERATION_ID: Final = "01a2079770a17641b549a867d044707b"
INPUT_ID: Final = "01a2079771f07208a213892fe01aac17"

REQUESTS: Final[Json] = {
    "GenerateImages": {
        "prompt": "a red apple on a table at night",
        "numImages": 1,
        "aspectRatio": "4:3",
        "outputFormat": "png",
    },
    "EditImages": {"prompt": "make it warmer", "imageIds": [INPUT_ID], "aspectRatio": "auto"},
    "UpscaleImage": {"imageId": INPUT_ID, "modelId": "realesr-animevideo", "upscaleFactor": 2},
    "RunTask": {"generate": {"prompt": "a red apple on a table at night"}},
    "CancelGeneration": {},
}

PARAMETERS: Final[Json] = {
    "GenerateImages": {"aspectRatio": "4:3", "outputFormat": "png", "numImages": 1, "seed": 3_141_592_653},
    "EditImages": {"aspectRatio": "auto", "outputFormat": "png", "numImages": 1, "seed": 3_141_592_653},
    "UpscaleImage": {"upscaleFactor": 2, "outputFormat": "png", "numImages": 1},
}


def request(call: str) -> Json:
    """Return the example of a call's body, as a member of its media type."""
    return {"example": REQUESTS[call]} if call in REQUESTS else {}


def response(call: str) -> Json:
    """Return the example of a task call's answer, as a member of its media type."""
    if call not in PARAMETERS:
        return {}
    body = {"images": [_image(call)], "generationId": GENERATION_ID, "description": ""}
    return {"example": body}


def _image(call: str) -> Json:
    upscales = call == "UpscaleImage"
    return {
        "id": IMAGE_ID,
        "generationId": GENERATION_ID,
        "workspaceId": "acme",
        "createdByUserId": "ada",
        "prompt": REQUESTS[call].get("prompt", ""),
        "model": REQUESTS[call].get("modelId", "sketch"),
        "parameters": PARAMETERS[call],
        "inputImageIds": [] if call == "GenerateImages" else [INPUT_ID],
        "imageWidth": 2400 if upscales else 1200,
        "imageHeight": 1792 if upscales else 896,
        "imageSize": 212_144,
        "createdAt": "2026-11-28T10:30:00Z",
        "updatedAt": "2026-11-28T10:30:00Z",
        "_links": {"content": f"/v1/workspaces/acme/images/{IMAGE_ID}/content"},
    }
