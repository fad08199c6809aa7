"""How REST requests reach the service, and which are refused before."""

from typing import Any

import httpx
import pytest
from google.protobuf.json_format import MessageToDict

from tests.rest.errors import error_of, violations
from tests.rest.stand_in import OWN_REQUEST_ID, StandIn

ACME = "/v1/workspaces/acme"
GENERATE = f"{ACME}/image-generation-tasks"
INT32 = "must be an integer from -2147483648 to 2147483647"
UINT32 = "must be an integer from 0 to 4294967295"


def received(stand_in: StandIn) -> dict[str, Any]:
    return dict(MessageToDict(stand_in.requests[0]))


@pytest.mark.parametrize("prefix", ["", "/api/image-service"])
def test_both_prefixes_reach_the_service(rest: httpx.Client, stand_in: StandIn, prefix: str) -> None:
    response = rest.post(prefix + GENERATE, json={"prompt": "a cat", "numImages": 2, "seed": 7})

    assert response.status_code == 200
    assert received(stand_in) == {"workspaceId": "acme", "prompt": "a cat", "numImages": 2, "seed": 7}


def test_fields_at_their_zero_value_are_printed(rest: httpx.Client) -> None:
    image = rest.post(GENERATE, json={}).json()["images"][0]

    assert image["prompt"] == ""
    assert image["inputImageIds"] == []
    assert image["imageWidth"] == 0


def test_all_wrong_fields_are_named_at_once(rest: httpx.Client) -> None:
    body = {"prompt": 1, "numImages": "abc", "seed": -1, "outputFormat": ["png"], "modelid": "x", "modelId": {"a": 1}}

    assert violations(rest.post(GENERATE, json=body)) == {
        "prompt": "must be a string",
        "numImages": INT32,
        "seed": UINT32,
        "outputFormat": "must be a string",
        "modelid": "is not a field of this request",
        "modelId": "must be a string",
    }


@pytest.mark.parametrize("value", ["abc", "", 1.5, True, [1], {"a": 1}, 2**31, "0x10", " 1", "nan", 1e400])
def test_what_is_not_an_integer_is_refused(rest: httpx.Client, value: object) -> None:
    text = str(value).lower() if isinstance(value, float) else httpx.Request("POST", "/", json=value).content.decode()
    response = rest.post(GENERATE, content=f'{{"numImages": {text}}}'.replace("inf", "1e400"))

    assert violations(response) == {"numImages": INT32}


@pytest.mark.parametrize("value", ["3", '"3"', "3.0", "3e0", "null"])
def test_what_json_for_protobuf_takes_as_an_integer_is_accepted(rest: httpx.Client, value: str) -> None:
    assert rest.post(GENERATE, content=f'{{"numImages": {value}}}').status_code == 200


def test_the_proto_name_of_a_field_is_accepted(rest: httpx.Client, stand_in: StandIn) -> None:
    assert rest.post(GENERATE, json={"num_images": 2}).status_code == 200
    assert received(stand_in)["numImages"] == 2


@pytest.mark.parametrize(
    ("image_ids", "wrong"),
    [
        ("x", {"imageIds": "must be a list"}),
        ({"a": 1}, {"imageIds": "must be a list"}),
        ([1, "x", ["y"], {}], {f"imageIds[{index}]": "must be a string" for index in (0, 2, 3)}),
    ],
)
def test_a_wrong_element_of_a_list_is_named(rest: httpx.Client, image_ids: object, wrong: dict[str, str]) -> None:
    assert violations(rest.post(f"{ACME}/image-edit-tasks", json={"imageIds": image_ids})) == wrong


def test_wrong_nested_fields_are_named_by_their_path(rest: httpx.Client) -> None:
    body = {"generate": {"numImages": "x", "nope": {"a": [1, {}]}, "workspaceId": "acme"}}

    assert violations(rest.post(f"{ACME}/image-tasks:stream", json=body)) == {
        "generate.numImages": INT32,
        "generate.nope": "is not a field of this request",
    }


@pytest.mark.parametrize("task", ['"x"', "[]", "1"])
def test_a_scalar_where_an_object_belongs_is_named(rest: httpx.Client, task: str) -> None:
    response = rest.post(f"{ACME}/image-tasks:stream", content=f'{{"generate": {task}}}')

    assert violations(response) == {"generate": "must be an object"}


def test_two_of_a_oneof_are_refused(rest: httpx.Client) -> None:
    response = rest.post(f"{ACME}/image-tasks:stream", json={"generate": {}, "edit": {}})

    assert violations(response) == {"edit": "excludes generate"}


def test_a_field_given_twice_is_refused(rest: httpx.Client) -> None:
    response = rest.post(GENERATE, content='{"numImages": 1, "num_images": 2}')

    assert violations(response) == {"num_images": "is given twice"}


def test_the_workspace_comes_from_the_path_alone(rest: httpx.Client) -> None:
    response = rest.post(GENERATE, json={"workspaceId": "other"})

    assert violations(response) == {"workspaceId": "is given by the path, not by the body"}


@pytest.mark.parametrize(
    "body",
    [
        "{", '{"prompt":', '{"prompt": "a"', '{"prompt": "a}', "{prompt: 1}", "{'prompt': 'a'}", '{"prompt": "a",}',
        '{"prompt": "a"} {}', '{"numImages": 01}', '{"numImages": 1.}', '{"numImages": -}', '{"prompt": tru}',
        '{"seed": 1.e5}', '{"seed": .5}', '{"seed": +1}', '{"seed": 1e}', '{"seed": 1e+}', '{"seed": 1 2}',
        '{"seed": nulll}',
        '{"a": 1 "b": 2}', '{"a": [1,]}', '{,}', '{"a"}', '{"a":}', '{} x', "\ufeff[",
        '{"prompt": "a\nb"}', "[" * 100, '{"x":' * 100, "nope", '{"prompt" "a"}', '{"a":[1 2]}',
    ],
)  # fmt: skip
def test_malformed_json_is_refused(rest: httpx.Client, body: str) -> None:
    response = rest.post(GENERATE, content=body)

    assert set(violations(response)) == {"body"}


@pytest.mark.parametrize("body", ["[]", '"x"', "1", "null"])
def test_json_that_is_no_object_is_refused(rest: httpx.Client, body: str) -> None:
    assert violations(rest.post(GENERATE, content=body)) == {"body": "must be a JSON object"}


@pytest.mark.parametrize("in_a_name", [False, True])
@pytest.mark.parametrize(
    "text",
    [
        b"\\q", b"\\x41", b"\\u12", b"\\u12g4", b"\\", b"\\U0041", b"\\ud800", b"\\ud83e \\udd8a", b"\\ud83e\\n",
        b"\\udd8a", b"\\ud83e\\u0041", b"\xff\xfe", b"\x80", b"\xc3", b"\xc0\xaf", b"\xe0\x80\xaf", b"\xed\xa0\x80",
        b"\xf4\x90\x80\x80", b"a\0",
    ],
)  # fmt: skip
def test_text_that_is_no_json_or_no_unicode_is_refused(
    rest: httpx.Client, stand_in: StandIn, text: bytes, in_a_name: bool
) -> None:
    stand_in.requests = []
    body = b'{"' + text + b'": 1}' if in_a_name else b'{"prompt": "' + text + b'"}'

    (problem,) = violations(rest.post(GENERATE, content=body)).values()

    assert problem.startswith("is not valid JSON at byte ")
    assert stand_in.requests == []


def test_every_escape_that_json_has_is_taken(rest: httpx.Client, stand_in: StandIn) -> None:
    response = rest.post(GENERATE, content=rb"""{"\u0070ro\u006Dpt": "\"\\\/\b\f\n\r\t\u00FC\ud83e\uDD8A\u0041"}""")

    assert response.status_code == 200
    assert received(stand_in)["prompt"] == '"\\/\b\f\n\r\tü🦊A'


def test_an_escaped_name_is_reported_as_it_is_meant(rest: httpx.Client) -> None:
    body = rb"""{"\u00fc\ud83e\udd8a\\u0041\n": 1, "\u0073eed": -1}"""

    assert set(violations(rest.post(GENERATE, content=body))) == {"ü🦊\\u0041\n", "seed"}


@pytest.mark.parametrize("ids", [["id", None], [None], ["id", None, "id"]])
def test_a_null_in_a_list_is_refused_with_its_place(rest: httpx.Client, ids: list[str | None]) -> None:
    response = rest.post(f"{ACME}/image-edit-tasks", json={"prompt": "warmer", "imageIds": ids})

    assert violations(response) == {f"imageIds[{ids.index(None)}]": "must be a string"}


def test_a_byte_order_mark_before_the_body_is_ignored(rest: httpx.Client, stand_in: StandIn) -> None:
    assert rest.post(GENERATE, content=b'\xef\xbb\xbf {"prompt": "a cat"}').status_code == 200
    assert received(stand_in)["prompt"] == "a cat"

    wrong = rest.post(GENERATE, content=b'\xef\xbb\xbf{"prompt": "a cat", "x": 1}')
    assert set(violations(wrong)) == {"x"}
    assert received(stand_in)["prompt"] == "a cat"
    assert set(violations(rest.post(GENERATE, content='{"prompt": "a cat"}'.encode("utf-16")))) == {"body"}


def test_a_text_longer_than_any_prompt_is_refused_before_it_is_passed_on(rest: httpx.Client, stand_in: StandIn) -> None:
    response = rest.post(GENERATE, json={"prompt": "x" * 400_001, "numImages": 2})

    assert violations(response) == {"prompt": "must have at most 400000 bytes"}
    assert received(stand_in) == {"workspaceId": "acme", "numImages": 2}
    longest = rest.post(GENERATE, json={"prompt": "🦊" * 32_000})
    assert longest.status_code == 200
    assert len(received(stand_in)["prompt"]) == 32_000


@pytest.mark.parametrize("name", ['"', "\\", "</script>", "a\nb", "ünï", "%LOCAL_REPLY_BODY%", "x" * 100_000])
def test_the_name_of_an_unknown_field_can_not_break_the_answer(rest: httpx.Client, name: str) -> None:
    response = rest.post(GENERATE, json={name: 1})

    (field,) = violations(response)
    assert len(field) < 300
    assert set(response.json()) == {"code", "message", "details"}


def test_violations_are_bounded(rest: httpx.Client) -> None:
    response = rest.post(GENERATE, json={f"field{index}": index for index in range(1000)})

    assert len(violations(response)) == 20


def test_wrong_query_parameters_are_named(rest: httpx.Client) -> None:
    response = rest.get(f"{ACME}/images?pageSize=abc&foo=1&pageToken=a&pageToken=b&workspaceId=other")

    assert violations(response) == {
        "pageSize": INT32,
        "foo": "is not a query parameter of this call",
        "pageToken": "is given twice",
        "workspaceId": "is not a query parameter of this call",
    }


def test_query_parameters_of_a_call_with_a_body_are_refused(rest: httpx.Client) -> None:
    response = rest.post(f"{GENERATE}?numImages=2", json={"prompt": "a"})

    assert violations(response) == {"numImages": "is not a query parameter of this call"}


def test_names_are_unescaped(rest: httpx.Client, stand_in: StandIn) -> None:
    rest.get("/v1/workspaces/a%40b%20c:d/images?pageToken=a%2Fb+c%3D")

    assert received(stand_in) == {"workspaceId": "a@b c:d", "pageToken": "a/b c="}


def test_an_escaped_slash_does_not_lead_to_another_call(rest: httpx.Client, stand_in: StandIn) -> None:
    rest.get(f"{ACME}/images/a%2Fcontent")

    assert received(stand_in)["imageId"] == "a/content"


def test_a_path_that_climbs_does_not_reach_another_workspace(rest: httpx.Client) -> None:
    response = rest.get(f"{ACME}/images/%2e%2e/%2e%2e/%2e%2e/nope")

    assert response.status_code == 404
    error_of(response)


@pytest.mark.parametrize(
    "path",
    [
        f"{GENERATE}/",
        f"{GENERATE}//",
        GENERATE.replace("/", "//"),
        GENERATE.replace("-", "%2D"),
        GENERATE.replace("w", "%77"),
        f"/x/..{GENERATE}",
        f"{GENERATE}#x",
        f"{GENERATE}?",
        f"{ACME}/image-tasks%3Astream",
        f"{ACME}/image-tasks:%73tream",
        f"{ACME}/image-generation-tasks:x",
    ],
)
def test_another_spelling_of_a_path_does_not_lead_round_the_checks(rest: httpx.Client, path: str) -> None:
    request = httpx.Request("POST", rest.base_url.join("/"), json={"nope": 1})
    request.extensions = {"target": path.encode()}
    response = rest.send(request)

    assert response.status_code in (400, 404)
    error_of(response)


def test_a_workspace_without_a_name_is_not_found(rest: httpx.Client) -> None:
    assert rest.get("/v1/workspaces//images").status_code == 404


def test_headers_reach_the_service(rest: httpx.Client, stand_in: StandIn) -> None:
    sent = {"authorization": "Bearer t", "idempotency-key": "k", "prefer": "respond-async", "x-request-id": "mine"}
    rest.post(GENERATE, json={}, headers=sent)

    assert {name: stand_in.metadata.get(name) for name in sent} == sent


def test_the_callers_request_id_comes_back_once(rest: httpx.Client) -> None:
    response = rest.post(GENERATE, json={}, headers={"x-request-id": "mine"})

    assert response.headers.get_list("x-request-id") == ["mine"]


def test_a_request_id_is_made_when_none_was_sent(rest: httpx.Client, stand_in: StandIn) -> None:
    response = rest.post(GENERATE, json={})

    assert response.headers.get_list("x-request-id") == [stand_in.metadata["x-request-id"]]
    assert response.headers["x-request-id"] != OWN_REQUEST_ID


def test_the_gateways_own_errors_carry_the_callers_request_id(rest: httpx.Client) -> None:
    for response in (
        rest.get("/nope", headers={"x-request-id": "mine"}),
        rest.post(GENERATE, content="{", headers={"x-request-id": "mine"}),
    ):
        assert response.headers.get_list("x-request-id") == ["mine"]


def test_an_answer_tells_nothing_about_what_made_it(rest: httpx.Client) -> None:
    response = rest.post(GENERATE, json={})

    assert response.headers["server"] == "limner"
    assert not [name for name in response.headers if name.startswith(("grpc-", "x-envoy-"))]
