"""Answers of status 200 that hold no pictures."""

import json

import pytest

from limner.domain.errors import ContentRejectedError
from limner.models.openai.answers import entries_of
from limner.outbound.answer import Response
from limner.outbound.errors import UnreadableAnswerError

REFUSAL = {"message": "Rejected.", "type": "image_generation_user_error", "code": "moderation_blocked"}


def ok(document: object) -> Response:
    return Response(200, body=json.dumps(document).encode())


@pytest.mark.parametrize("document", [{"error": REFUSAL}, {"error": REFUSAL, "data": []}])
def test_a_refusal_of_status_200_is_a_refusal(document: object) -> None:
    with pytest.raises(ContentRejectedError):
        entries_of(ok(document))


@pytest.mark.parametrize("document", [{"error": {"code": "server_error"}}, {"created": 1}, {"data": None}, []])
def test_another_answer_without_a_list_tells_nothing(document: object) -> None:
    with pytest.raises(UnreadableAnswerError):
        entries_of(ok(document))


def test_pictures_beside_an_error_are_kept() -> None:
    (entry,) = entries_of(ok({"data": [{"b64_json": "AAAA"}], "error": REFUSAL}))
    assert entry.base64 == "AAAA"
