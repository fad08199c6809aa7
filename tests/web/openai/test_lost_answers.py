"""A worker that dies while OpenAI's SDK waits: the gateway answers, and nothing is bought again."""

import time
from pathlib import Path
from threading import Thread

import openai
import psutil
import pytest

from tests.e2e.providers import KEYS, Catalogue
from tests.fakes.background import background
from tests.fakes.openai import fake_openai
from tests.service import running_service
from tests.web.openai.clients import sdk_of


def test_an_answer_that_is_lost_with_its_worker_is_not_asked_for_again(tmp_path: Path) -> None:
    with background() as loop:
        provider = loop.enter(fake_openai())
        catalogue = Catalogue()
        shared = {"adapter": "openai", "base_url": provider.base_url, "api_key_env": "FAKE_OPENAI"}
        catalogue.add("gpt-image-2", shared)
        catalogue.write(tmp_path / "models.toml")
        settings = KEYS | {"LIMNER_MODELS": str(tmp_path / "models.toml")}
        with running_service(tmp_path / "data", "--workers", "2", env=settings) as service:
            workers = [
                each for each in psutil.Process(service.process.pid).children() if "limner.worker" in each.cmdline()
            ]

            def kill_all_when_asked() -> None:
                end = time.monotonic() + 60
                while not provider.recorder.to("api") and time.monotonic() < end:
                    time.sleep(0.02)
                for worker in workers:
                    worker.kill()

            killer = Thread(target=kill_all_when_asked)
            killer.start()
            with pytest.raises(openai.APIStatusError) as failure:
                sdk_of(service).images.generate(prompt="a fox [[fault:hang]]")
            killer.join()
            asked = len(provider.recorder.to("api"))

    assert failure.value.status_code == 503
    assert failure.value.response.headers["x-should-retry"] == "false"
    assert asked == 1
