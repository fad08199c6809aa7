"""What an answer of Gemini's holds, in the spellings that protobuf's JSON allows."""

import base64
import json
from typing import Any

import pytest

from limner.domain.errors import ContentRejectedError
from limner.models.google.answer import Answer, answer_of
from limner.outbound.answer import Response
from tests.pictures import encoded, noise

PICTURE = encoded(noise(8, 8), "PNG")
DATA = base64.b64encode(PICTURE).decode()
NOTE = {"inlineData": {"mimeType": "text/plain", "data": base64.b64encode(b"a note").decode()}}


def read(document: Any) -> Answer:
    return answer_of(Response(200, body=json.dumps(document).encode()))


def candidate(*parts: dict[str, Any]) -> dict[str, Any]:
    return {"candidates": [{"content": {"parts": list(parts)}, "finishReason": "STOP"}]}


@pytest.mark.parametrize(
    "part",
    [
        {"inlineData": {"mimeType": "image/png", "data": DATA}},
        {"inline_data": {"mime_type": "image/png", "data": DATA}},
        {"inlineData": {"data": DATA}},
        {"inlineData": {"mime_type": "image/png", "data": base64.urlsafe_b64encode(PICTURE).decode()}},
        {"inline_data": {"mimeType": "image/jpeg", "data": base64.urlsafe_b64encode(PICTURE).decode().rstrip("=")}},
        {"inlineData": {"mimeType": "application/octet-stream", "data": DATA}},
    ],
)
def test_a_picture_is_found_however_it_is_written(part: dict[str, Any]) -> None:
    assert read(candidate({"text": "Here it is."}, part)).picture == PICTURE


@pytest.mark.parametrize("name", ["mimeType", "mime_type"])
def test_what_is_declared_to_be_no_picture_is_not_taken_for_one(name: str) -> None:
    picture = {"inlineData": {name: "image/png", "data": DATA}}
    assert read(candidate(NOTE, picture)).picture == PICTURE


@pytest.mark.parametrize(
    "document",
    [
        {"prompt_feedback": {"block_reason": "SAFETY"}},
        {"candidates": [{"finish_reason": "IMAGE_SAFETY"}]},
        {"error": {"code": 400, "message": "Stopped by the safety filters.", "status": "INVALID_ARGUMENT"}},
        [{"error": {"code": 403, "status": "PROHIBITED_CONTENT"}}],
    ],
)
def test_a_refusal_is_found_however_it_is_written(document: Any) -> None:
    assert isinstance(read(document).error, ContentRejectedError)
