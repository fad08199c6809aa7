"""Who does not want to wait is told: at least once, also when the service dies in between."""

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from limner.service.caller import Role
from limner.service.notifications import JITTER, RETRY_DELAYS
from tests.purchase.receiver import Receiver, running_receiver
from tests.service import Service, running_service

FIRST_DELAY_S = RETRY_DELAYS[0].total_seconds()
WORKSPACES = ("plain", "secret", "cancelled", "retried", "redirected", "gone")


@pytest.fixture(scope="module")
def receiver() -> Iterator[Receiver]:
    with running_receiver() as receiver:
        yield receiver


@pytest.fixture(scope="module")
def service(receiver: Receiver, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    folder = tmp_path_factory.mktemp("webhooks")
    with running_service(folder / "data", env=receiver.settings(folder, *WORKSPACES)) as service:
        yield service


def begun(service: Service, workspace_id: str, prompt: str = "a fox", **fields: Any) -> str:
    """Ask for a picture without waiting for it, and return the generation's id."""
    path = f"/v1/workspaces/{workspace_id}/image-generation-tasks"
    with service.rest(workspaces={workspace_id: Role.MEMBER}) as client:
        answer = client.post(path, json={"prompt": prompt, **fields}, headers={"prefer": "respond-async"})
    assert answer.status_code == 200, answer.text
    assert answer.json()["state"] == "RUNNING"
    generation_id: str = answer.json()["generationId"]
    return generation_id


def shown(service: Service, workspace_id: str, generation_id: str) -> Any:
    """What the REST call answers for a generation."""
    with service.rest(workspaces={workspace_id: Role.MEMBER}) as client:
        return client.get(f"/v1/workspaces/{workspace_id}/generations/{generation_id}").json()


def test_the_end_is_told_with_the_generation_as_rest_shows_it(service: Service, receiver: Receiver) -> None:
    generation_id = begun(service, "plain", "ein Füchslein 🦊", numImages=2)
    (request,) = receiver.wait("plain")
    event = receiver.verified(request)
    assert event["type"] == "generation.completed"
    assert event["data"]["generationId"] == generation_id
    assert len(event["data"]["images"]) == 2
    assert event["data"] == shown(service, "plain", generation_id)
    assert event["timestamp"] == event["data"]["updatedAt"]


def test_a_cancellation_is_told_too(service: Service, receiver: Receiver) -> None:
    workspace_id = "cancelled"
    with service.rest(workspaces={workspace_id: Role.MEMBER}) as client:
        generation_id = begun(service, workspace_id, numImages=10)
        client.post(f"/v1/workspaces/{workspace_id}/generations/{generation_id}:cancel").raise_for_status()
    (request,) = receiver.wait(workspace_id)
    event = receiver.verified(request)
    assert event["type"] == "generation.cancelled"
    assert event["data"]["error"]["details"][0]["reason"] == "GENERATION_CANCELLED"
    assert event["data"] == shown(service, workspace_id, generation_id)


def test_a_receiver_that_fails_is_told_again(service: Service, receiver: Receiver) -> None:
    receiver.answers.append((500, {}))
    begun(service, "retried")
    first, second = receiver.wait("retried", 2, within_s=20)
    assert receiver.verified(first) == receiver.verified(second)
    assert first.headers["webhook-id"] == second.headers["webhook-id"]
    assert first.headers["webhook-timestamp"] != second.headers["webhook-timestamp"]
    assert second.at_s - first.at_s >= FIRST_DELAY_S * (1 - JITTER)


def test_a_redirect_is_not_followed(service: Service, receiver: Receiver) -> None:
    receiver.answers.append((307, {"Location": receiver.url("elsewhere")}))
    begun(service, "redirected")
    receiver.wait("redirected")
    wait_for_record(service, "a webhook was not delivered", problem="the receiver answers with status 307")
    assert receiver.of("elsewhere") == []


def test_a_receiver_that_is_gone_is_left_alone(service: Service, receiver: Receiver) -> None:
    receiver.answers.append((410, {}))
    begun(service, "gone")
    receiver.wait("gone")
    wait_for_record(service, "a webhook is given up", problem="the receiver is gone")
    assert len(receiver.of("gone")) == 1


def test_the_log_holds_neither_secret_nor_address_nor_prompt(service: Service, receiver: Receiver) -> None:
    begun(service, "secret", "a secret wish")
    receiver.wait("secret")
    log = "".join(service.log)
    assert receiver.secret not in log
    assert receiver.url("secret") not in log
    assert "secret wish" not in log


def test_an_end_that_a_crash_kept_from_being_told_is_told_after_it(receiver: Receiver, tmp_path: Path) -> None:
    settings = receiver.settings(tmp_path, "crashed")
    with running_service(tmp_path / "data", env={**settings, "LIMNER_FAILPOINT": "after-commit"}) as service:
        generation_id = begun(service, "crashed")
        assert service.process.wait(20) == -9
    assert receiver.of("crashed") == []
    with running_service(tmp_path / "data", env=settings) as service:
        (request,) = receiver.wait("crashed")
        event = receiver.verified(request)
        assert event["data"] == shown(service, "crashed", generation_id)
    assert event["type"] == "generation.completed"


def test_a_wrong_file_stops_the_start(receiver: Receiver, tmp_path: Path) -> None:
    settings = receiver.settings(tmp_path, "one", "one") | {"WEBHOOK_SECRET": "hunter2"}
    with (
        pytest.raises(AssertionError, match=r"(?s)webhook 1 .*webhook 2 .*workspace one has two webhooks") as caught,
        running_service(tmp_path / "data", env=settings),
    ):
        pass
    assert "hunter2" not in str(caught.value)
    assert "Traceback" not in str(caught.value)


def test_doctor_tells_what_is_wrong_with_the_file(receiver: Receiver, tmp_path: Path) -> None:
    environment = {"LIMNER_DATA_DIR": str(tmp_path / "data"), **receiver.settings(tmp_path, "acme", "other")}
    assert "webhooks: for acme, other" in examined(environment)
    assert "webhook 1 (acme): secret_env" in examined(environment | {"WEBHOOK_SECRET": ""})


def examined(settings: dict[str, str]) -> str:
    environment = {key: value for key, value in os.environ.items() if not key.startswith("LIMNER_")} | settings
    command = [sys.executable, "-m", "limner", "doctor"]
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60).stdout


def wait_for_record(service: Service, message: str, **facts: Any) -> None:
    deadline = time.monotonic() + 10
    while not any(each["message"] == message and facts.items() <= each.items() for each in service.records()):
        assert time.monotonic() < deadline, f"nothing says: {message}"
        time.sleep(0.02)
