"""A running task over REST: server-sent events."""

import json
from typing import Any

import httpx

from tests.rest.errors import error_of

STREAM = "/v1/workspaces/acme/image-tasks:stream"


def events_of(response: httpx.Response) -> list[dict[str, Any]]:
    return [json.loads(line.removeprefix("data: ")) for line in response.iter_lines() if line.startswith("data: ")]


def test_events_come_as_server_sent_events(rest: httpx.Client) -> None:
    with rest.stream("POST", STREAM, json={"generate": {"prompt": "a cat"}}) as response:
        events = events_of(response)

    assert response.headers["content-type"] == "text/event-stream"
    assert [next(iter(event)) for event in events] == ["queued", "progress", "completed"]
    assert events[1] == {"progress": {"fraction": 0.5}}


def test_events_come_when_they_happen(rest: httpx.Client) -> None:
    with rest.stream("POST", STREAM, json={"generate": {"prompt": "later wait 5"}}, timeout=2) as response:
        lines = response.iter_lines()
        assert next(lines).startswith("data: ")


def test_an_error_before_the_first_event_is_a_json_error(rest: httpx.Client) -> None:
    response = rest.post(STREAM, json={"generate": {"prompt": "fail PERMISSION_DENIED"}})

    assert response.status_code == 403
    assert error_of(response)["code"] == 7


def test_an_error_after_the_first_event_ends_the_stream(rest: httpx.Client) -> None:
    with rest.stream("POST", STREAM, json={"generate": {"prompt": "later fail UNAVAILABLE"}}) as response:
        events = events_of(response)

    assert response.status_code == 200
    assert [next(iter(event)) for event in events] == ["queued", "progress"]
