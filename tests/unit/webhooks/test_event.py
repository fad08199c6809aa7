"""What a receiver reads, and how it knows that we wrote it."""

import base64
import json
import secrets
from dataclasses import replace
from datetime import UTC, datetime

import pytest
import standardwebhooks

from limner.domain.identifiers import new_id
from limner.domain.task import Generation, GenerationState, Operation
from limner.webhooks.event import event_body
from limner.webhooks.signature import read_secret, signature_header

NOW = datetime(2026, 11, 23, 12, 30, 15, 123456, tzinfo=UTC)
GENERATION = Generation(
    id=new_id(),
    workspace_id="acme",
    created_by_user_id="ada",
    operation=Operation.GENERATE,
    model="sketch",
    prompt="a fox",
    requested_images=1,
    state=GenerationState.SUCCEEDED,
    created_at=NOW,
    updated_at=NOW,
)


def a_secret(size: int = 32) -> str:
    return f"whsec_{base64.b64encode(secrets.token_bytes(size)).decode()}"


@pytest.mark.parametrize(
    ("state", "kind"),
    [
        (GenerationState.SUCCEEDED, "generation.completed"),
        (GenerationState.FAILED, "generation.failed"),
        (GenerationState.UNKNOWN, "generation.failed"),
        (GenerationState.CANCELLED, "generation.cancelled"),
    ],
)
def test_the_type_tells_how_it_ended(state: GenerationState, kind: str) -> None:
    data = {"prompt": "ein Füchslein 🦊"}
    body = event_body(replace(GENERATION, state=state), data)
    assert json.loads(body) == {"type": kind, "timestamp": "2026-11-23T12:30:15.123456Z", "data": data}


def test_the_reference_verifies_our_signature() -> None:
    secret, body, now = a_secret(), event_body(GENERATION, {"prompt": "🦊"}), int(datetime.now(UTC).timestamp())
    header = signature_header([read_secret(secret)], "an-id", now, body)
    headers = {"webhook-id": "an-id", "webhook-timestamp": str(now), "webhook-signature": header}
    assert standardwebhooks.Webhook(secret).verify(body, headers) == json.loads(body)
    for wrong in ({"webhook-id": "other"}, {"webhook-timestamp": str(now - 1)}):
        with pytest.raises(standardwebhooks.WebhookVerificationError):
            standardwebhooks.Webhook(secret).verify(body, headers | wrong)
    with pytest.raises(standardwebhooks.WebhookVerificationError):
        standardwebhooks.Webhook(a_secret()).verify(body, headers)


def test_the_reference_signs_as_we_do() -> None:
    secret, body = a_secret(), event_body(GENERATION, {})
    expected = standardwebhooks.Webhook(secret).sign("an-id", NOW, body.decode())
    assert signature_header([read_secret(secret)], "an-id", int(NOW.timestamp()), body) == expected


def test_a_receiver_may_know_either_of_two_secrets() -> None:
    new, old, body, now = a_secret(), a_secret(64), b"{}", int(datetime.now(UTC).timestamp())
    header = signature_header([read_secret(new), read_secret(old)], "an-id", now, body)
    headers = {"webhook-id": "an-id", "webhook-timestamp": str(now), "webhook-signature": header}
    for secret in (new, old):
        standardwebhooks.Webhook(secret).verify(body, headers)


@pytest.mark.parametrize(
    "text",
    ["", "whsec_", a_secret(23), a_secret(65), a_secret()[6:], "whsec_%%%%", "whsec_ä"],
    ids=["empty", "no bytes", "too short", "too long", "no prefix", "no base64", "no ascii"],
)
def test_a_wrong_secret_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="whsec_"):
        read_secret(text)
