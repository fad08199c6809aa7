"""The command line beside the real service: what operators and callers read."""

import os
import subprocess
import sys
from pathlib import Path

from tests.service import Service, running_service


def limner(service: Service, *arguments: str) -> "subprocess.CompletedProcess[str]":
    environment = {name: value for name, value in os.environ.items() if not name.startswith("LIMNER_")}
    environment |= {
        "LIMNER_SERVER": service.grpc_address,
        "LIMNER_TOKEN": service.token(),
        "LIMNER_WORKSPACE": "acme",
    }
    command = [sys.executable, "-m", "limner", *arguments]
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60)


def test_a_mistyped_setting_is_named_once_at_the_start(tmp_path: Path) -> None:
    with running_service(tmp_path, "--workers", "2", env={"LIMNER_LOGLEVEL": "debug"}) as service:
        service.stop()
    warnings = [record for record in service.records() if record["level"] == "warning"]
    told = [record["message"] for record in warnings if "LIMNER_LOGLEVEL" in record["message"]]
    assert told == ["LIMNER_LOGLEVEL: there is no such setting; is LIMNER_LOG_LEVEL meant?"]


def test_words_that_were_not_drawn_are_named_beside_the_result(tmp_path: Path) -> None:
    with running_service(tmp_path) as service:
        done = limner(service, "generate", "a quizzical fox", "-o", str(tmp_path / "fox.webp"))
    assert (done.returncode, done.stdout) == (0, f"{tmp_path / 'fox.webp'}\n")
    assert "Not understood: quizzical" in done.stderr
    assert (tmp_path / "fox.webp").read_bytes()[8:12] == b"WEBP"


def test_a_file_for_an_upscale_that_is_refused_is_not_uploaded(tmp_path: Path) -> None:
    with running_service(tmp_path / "data") as service:
        made = limner(service, "generate", "a fox", "-o", str(tmp_path / "fox.png"))
        refused = limner(service, "upscale", str(tmp_path / "fox.png"), "--model", "realesrgan-x4plus", "--factor", "7")
        listed = limner(service, "ls").stdout.splitlines()
    assert (made.returncode, refused.returncode, len(listed)) == (0, 1, 1)
    assert "not by 7. Nothing was uploaded." in refused.stderr
