"""Vendors' complaints in the forms that vendors write them in, with words of our own: what each of them means."""

import json
from typing import Any

import pytest

from limner.domain.errors import (
    ContentRejectedError,
    InvalidFieldError,
    LimnerError,
    ProviderMisconfiguredError,
    ProviderUnavailableError,
)
from limner.models.complaint import Complaint
from limner.models.http.outcome import bought_nothing
from limner.models.judgement import Meaning, late_refusal, meaning, refusal
from limner.outbound.answer import Response

PROMPT = "a nurse explains the safety guidelines to sensitive visitors, flagged NSFW"


def openai(message: str = "No.", **members: Any) -> dict[str, Any]:
    return {"error": {"message": message, "type": "invalid_request_error", "param": None, "code": None} | members}


def answer(status: int, document: object) -> Response:
    body = document if isinstance(document, bytes) else json.dumps(document).encode()
    return Response(status, body=body)


def error_of(status: int, document: object, prompt: str = "a cat") -> LimnerError | None:
    return refusal(status, Complaint.of(answer(status, document), prompt))


REFUSALS: dict[str, tuple[int, object]] = {
    # OpenAI and what speaks its protocol.
    "openai": (400, openai("Rejected.", code="moderation_blocked", type="image_generation_user_error")),
    "openai, in words": (400, openai("Your request was turned down by our safety system.")),
    "ark, text": (400, openai(code="InputTextSensitiveContentDetected", type="BadRequest")),
    "ark, text with a suffix": (400, openai(code="InputTextSensitiveContentDetected.PolicyViolation")),
    "ark, picture": (400, openai(code="OutputImageSensitiveContentDetected")),
    "ark, input picture": (400, openai(code="InputImageSensitiveContentDetected")),
    "azure, filter": (400, openai(code="contentFilter")),
    "azure, inner": (400, openai(code="BadRequest", inner_error={"code": "ResponsibleAIPolicyViolation"})),
    "azure, other spelling": (400, openai(code=None, innererror={"code": "ResponsibleAIPolicyViolation"})),
    "azure, flags alone": (400, openai(innererror={"content_filter_result": {"hate": {"filtered": True}}})),
    "azure, param": (400, openai("The response was filtered.", param="prompt", code="content_filter")),
    "azure, 403": (403, openai("This is against the content policy of the deployment.")),
    "xai, 400": (400, {"code": "Client specified an invalid argument", "error": "Stopped by content moderation."}),
    "xai, 403": (403, {"code": "The caller may not do this", "error": "The text violates usage guidelines."}),
    "dashscope": (400, openai("Input data may contain bad things.", code="data_inspection_failed")),
    "dashscope, own form": (400, {"code": "DataInspectionFailed", "message": "No.", "request_id": "1"}),
    "relay, 400": (400, openai("Upstream says: flagged as harmful", code="bad_response_status_code")),
    "relay, 502": (502, openai("the model found this text inappropriate", type="upstream_error")),
    "relay, 500, json in a text": (500, openai('{"error": {"code": "sensitive_words_detected"}}')),
    "relay, 502, json within a text": (502, openai('Upstream 400: {"error":{"code":"content_policy_violation"}}')),
    "relay, 503": (503, {"error": "Request was rejected: prohibited content"}),
    "litellm": (400, openai("litellm.ContentPolicyViolationError: OpenAIException - no", type=None, code="400")),
    "openrouter": (
        403,
        openai("Input was flagged.", code=403, metadata={"reasons": ["violence"], "flagged_input": "x"}),
    ),
    # Other forms.
    "top-level text": (400, "This picture is not in line with our guidelines"),
    "top-level list": (422, ["nsfw"]),
    "plain text": (400, b"Blocked by the content filter."),
    "white space before it": (400, b"  \r\n \n" + json.dumps(openai("It is NSFW.")).encode()),
    "one word": (400, {"error": "nsfw"}),
    "detail, text": (422, {"detail": "Unsafe content."}),
    "detail, list": (
        422,
        {"detail": [{"loc": ["body", "prompt"], "msg": "has prohibited words", "type": "value_error"}]},
    ),
    "deep": (400, {"a": {"b": [{"c": {"reason": "PROHIBITED_CONTENT"}}]}}),
    "google": (400, {"error": {"code": 400, "message": "No.", "status": "SAFETY"}}),
    "google, list": (400, [{"error": {"code": 400, "message": "Violates Google's Responsible AI practices."}}]),
    "google, details": (403, {"error": {"code": 403, "details": [{"reason": "CONTENT_BLOCKED"}]}}),
    "fal": (422, {"detail": [{"loc": ["body", "prompt"], "type": "content_policy_violation", "msg": "no"}]}),
    "fal, as text": (422, {"detail": "The NSFW checker found something"}),
    "flag": (400, {"error": "no", "flagged": True}),
    "flag, the other way": (422, {"status": "failed", "respect_moderation": False}),
    "chinese": (400, openai("输入内容包含敏感信息")),
    "relay, a status for a field": (400, openai("openai_error", code="bad_response_status_code", param="400")),
    "relay, the code for a field": (400, openai("No.", code="upstream_failure", param="upstream_failure")),
    "legal, in words": (451, {"error": "Unavailable for legal reasons"}),
    "legal": (451, openai("A celebrity.")),
    "moderation, at a 429": (429, openai(code="moderation_blocked")),
    "with advice": (
        400,
        openai("Rejected by the safety system. Repeated violations may lead to a block of your account."),
    ),
    "with a way out": (400, openai("Flagged by moderation. Please try again later with other words.")),
    "permission to draw it": (403, openai("You have no permission to do this: it violates our usage policies.")),
}


@pytest.mark.parametrize(("status", "document"), REFUSALS.values(), ids=REFUSALS)
def test_refusal_is_a_refusal_in_any_form(status: int, document: object) -> None:
    error = error_of(status, document)
    assert isinstance(error, ContentRejectedError) and not bought_nothing(error)
    assert error.metadata == {}


@pytest.mark.parametrize("status", [400, 403, 422, 451])
@pytest.mark.parametrize(
    "document",
    [openai("Bad request."), {}, {"detail": "The request could not be done."}, "nope", b"", b"<html>Forbidden</html>"],
)
def test_what_names_neither_a_field_nor_a_credential_is_a_refusal_that_may_have_been_paid(
    status: int, document: object
) -> None:
    error = error_of(status, document)
    assert isinstance(error, ContentRejectedError) and error.metadata == {}


def test_refused_input_is_surely_unbought_only_when_the_vendor_says_which_side_was_refused() -> None:
    def blocked(stage: str) -> LimnerError | None:
        return error_of(400, openai(code="moderation_blocked", moderation_details={"moderation_stage": stage}))

    before, after = blocked("input"), blocked("output")
    assert before and before.outcome == "not_bought"
    assert after and after.metadata == {}


OTHERS: dict[str, tuple[Meaning, int, object]] = {
    # Fields of ours.
    "field, safety": (Meaning.FIELD, 422, {"detail": "safety_tolerance must be ≤ 6"}),
    "field, safety, pydantic": (
        Meaning.FIELD,
        422,
        {"detail": [{"loc": ["body", "safety_tolerance"], "msg": "Input should be at most 6", "type": "less_than"}]},
    ),
    "field, moderation": (Meaning.FIELD, 400, openai("Invalid value: 'x'.", param="moderation", code="invalid_value")),
    "field, moderation, in words": (Meaning.FIELD, 400, openai("moderation must be one of auto, low")),
    "field, safety settings": (
        Meaning.FIELD,
        400,
        {"error": {"details": [{"fieldViolations": [{"field": "safety_settings[0]", "description": "unknown"}]}]}},
    ),
    "field, param": (Meaning.FIELD, 400, openai("Not taken.", param="output_format")),
    "field, unknown": (Meaning.FIELD, 422, {"error": "Failed to deserialize: unknown field `size`, expected one of …"}),
    "field, unsupported": (Meaning.FIELD, 400, openai("Unsupported parameter: 'quality' is not for this model.")),
    "field, unexpected": (Meaning.FIELD, 400, openai("got an unexpected keyword argument 'response_format'")),
    "field, extra": (Meaning.FIELD, 422, {"detail": [{"loc": ["body", "n"], "msg": "Extra inputs are not permitted"}]}),
    # Accounts.
    "key": (Meaning.OPERATOR, 400, openai("The API key is wrong.", code="invalid_api_key")),
    "key, of moderation": (Meaning.OPERATOR, 403, openai("Your API key can't be used for moderation.")),
    "quota": (Meaning.OPERATOR, 403, openai("The quota of safety checks is used up.")),
    "credit": (Meaning.OPERATOR, 403, {"detail": "User is locked. Reason: Exhausted balance."}),
    "arrears": (Meaning.OPERATOR, 400, {"code": "Arrearage", "message": "Please pay."}),
    "verification": (Meaning.OPERATOR, 403, openai("Your organization must be verified.")),
    "permission": (Meaning.OPERATOR, 403, {"error": {"status": "PERMISSION_DENIED", "message": "Permission denied."}}),
    "country": (
        Meaning.OPERATOR,
        403,
        openai("Your country is not supported.", code="unsupported_country_region_territory"),
    ),
    "model": (Meaning.OPERATOR, 400, openai("The model `x` does not exist.", code="model_not_found")),
    "account": (Meaning.OPERATOR, 403, openai("This account has been suspended.")),
    "401": (Meaning.OPERATOR, 401, {}),
    # Pictures of the caller's.
    "picture, code": (Meaning.PICTURE, 400, openai(code="image_parse_error")),
    "picture, google": (
        Meaning.PICTURE,
        400,
        {"error": {"status": "INVALID_ARGUMENT", "message": "Provided image is not valid."}},
    ),
    "picture, google, old": (
        Meaning.PICTURE,
        400,
        {"error": {"message": "Unable to process input image. Please retry."}},
    ),
    "picture, param": (Meaning.PICTURE, 400, openai("Bad.", param="image[0]")),
    "picture, words": (Meaning.PICTURE, 422, {"detail": "could not decode the image"}),
    # Prompts that are not refused for what they say.
    "prompt": (Meaning.PROMPT, 400, openai("Too long.", code="string_above_max_length", param="prompt")),
    # Outages.
    "outage": (Meaning.OUTAGE, 400, openai("The upstream request timed out.", code="bad_response_status_code")),
    "outage of moderation": (Meaning.OUTAGE, 503, openai("The content moderation service is unavailable.")),
    "outage of moderation, code": (Meaning.OUTAGE, 500, openai("x y", code="moderation_service_timeout")),
    "outage of inspection": (Meaning.OUTAGE, 400, openai("Inspection timed out, please try again later.")),
    # An echo of the prompt says nothing.
    "echo": (Meaning.SILENT, 500, openai(f"The server had an error processing {PROMPT}")),
    "echo, cut": (Meaning.SILENT, 500, openai(f"Error at '{PROMPT[:50]}…'")),
    "echo, member": (Meaning.SILENT, 500, {"detail": [{"input": {"prompt": PROMPT}, "msg": "failed again"}]}),
    "case": (Meaning.SILENT, 500, openai("Header names are case-sensitive here")),
}


@pytest.mark.parametrize(("expected", "status", "document"), OTHERS.values(), ids=OTHERS)
def test_what_is_no_refusal_is_taken_for_none(expected: Meaning, status: int, document: object) -> None:
    assert meaning(status, Complaint.of(answer(status, document), PROMPT)) is expected


@pytest.mark.parametrize(
    ("about", "error", "outcome"),
    [
        (Meaning.FIELD, ProviderMisconfiguredError, "not_bought"),
        (Meaning.OPERATOR, ProviderMisconfiguredError, "not_bought"),
        (Meaning.PICTURE, InvalidFieldError, "not_bought"),
        (Meaning.PROMPT, ContentRejectedError, "not_bought"),
    ],
)
def test_what_names_its_cause_surely_bought_nothing(about: Meaning, error: type[LimnerError], outcome: str) -> None:
    for kind, status, document in OTHERS.values():
        if kind is about and status < 500:
            found = error_of(status, document)
            assert type(found) is error and found.outcome == outcome


def test_unreadable_picture_blames_the_callers_pictures() -> None:
    error = error_of(400, openai(code="image_parse_error"))
    assert isinstance(error, InvalidFieldError) and [each.field for each in error.violations] == ["imageIds"]


def test_outage_in_a_400_is_an_unknown_outcome_that_never_falls_back() -> None:
    error = error_of(400, openai("The upstream request timed out."))
    assert isinstance(error, ProviderUnavailableError) and error.outcome == "unknown"


@pytest.mark.parametrize("status", [500, 502, 503, 504, 429, 408, 499])
def test_what_is_no_definite_no_is_left_to_its_status(status: int) -> None:
    assert error_of(status, openai("Something went wrong.")) is None


@pytest.mark.parametrize(
    ("document", "refused"),
    [
        ({"error": openai("It was flagged.")["error"]}, True),
        ({"data": [], "finish_reason": "content_filter"}, True),
        ({"respect_moderation": False}, True),
        ({"respect_moderation": True}, False),
        ({"error": {"code": "server_error", "message": "oops"}}, False),
        ({"error": "the safety checker is unavailable"}, False),
        ({"finish_reason": "stop"}, False),
    ],
)
def test_answer_of_200_without_pictures_may_be_a_refusal(document: object, refused: bool) -> None:
    assert bool(late_refusal(Complaint.in_document(document))) is refused


def test_what_is_logged_of_a_complaint_holds_no_words_and_no_prompt() -> None:
    complaint = Complaint.of(answer(400, openai("A secret cat.", code="x_y", detail="cat")), "secret cat")
    assert complaint.safe_codes == ["invalid_request_error", "x_y"]


@pytest.mark.parametrize(
    "text",
    ["a" * 40_000, "A" * 40_000, "Ab" * 20_000, "a_" * 20_000, "violat" * 7000, "unable to process " + "the " * 9000],
)
def test_long_complaints_are_judged_at_once(text: str) -> None:
    import time

    began = time.thread_time()
    meaning(400, Complaint.in_document({"error": {"message": f"x {text}", "detail": text}}, "the the the"))
    assert time.thread_time() - began < 0.5
