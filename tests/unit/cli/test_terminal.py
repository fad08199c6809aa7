"""The command line as a process of its own: on a terminal, in a pipe, and interrupted."""

import os
import pty
import re
import select
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.standin import SLOW, TOKEN, WORKSPACE, StandIn, png

COMMAND = (sys.executable, "-m", "limner")


def environment(service: StandIn, columns: int = 140) -> dict[str, str]:
    return {
        **os.environ,
        "LIMNER_SERVER": service.address,
        "LIMNER_TOKEN": TOKEN,
        "LIMNER_WORKSPACE": WORKSPACE,
        "TERM": "xterm-256color",
        "COLUMNS": str(columns),
    }


class OnTerminal:
    """A command whose three standard streams are a terminal."""

    def __init__(self, service: StandIn, *arguments: str, columns: int = 140) -> None:
        self._terminal, side = pty.openpty()
        self.process = subprocess.Popen(
            [*COMMAND, *arguments], stdin=side, stdout=side, stderr=side, env=environment(service, columns)
        )
        os.close(side)
        self.text = ""

    def read_until(self, pattern: str, limit_s: float = 20) -> None:
        deadline = time.monotonic() + limit_s
        while not re.search(pattern, self.text):
            assert time.monotonic() < deadline, self.text
            self._read()

    def finish(self) -> int:
        while self._read():
            pass
        os.close(self._terminal)
        return self.process.wait(20)

    def _read(self) -> bool:
        if not select.select([self._terminal], [], [], 1)[0]:
            return True
        try:
            part = os.read(self._terminal, 65_536)
        except OSError:  # the other side is closed
            return False
        self.text += part.decode()
        return bool(part)


def test_a_terminal_shows_how_far_the_task_is(service: StandIn) -> None:
    command = OnTerminal(service, "generate", SLOW)
    command.read_until(r"Generating.*50%")
    command.process.send_signal(signal.SIGINT)

    assert command.finish() == 130
    assert "\x1b[" in command.text
    assert "Interrupted." in command.text
    assert f"limner show {next(iter(service.generations))}" in command.text
    assert service.left.wait(5)


def test_a_terminal_shows_the_paths_at_the_end(service: StandIn, tmp_path: Path) -> None:
    command = OnTerminal(service, "generate", "a cat", "-o", f"{tmp_path}/")

    assert command.finish() == 0
    assert command.text.splitlines()[-1].endswith(f"{next(iter(service.images))}.png")


def test_a_terminal_shows_tables_that_prompts_can_not_steer(service: StandIn) -> None:
    image = service.keep(png(8, 8), prompt="a [bold]cat[/bold] \x1b]0;title\x07")
    command = OnTerminal(service, "ls")

    assert command.finish() == 0
    assert image.id in command.text
    assert "PROMPT" in command.text
    assert "[bold]cat" in command.text
    assert "\x1b]0;" not in command.text


@pytest.mark.parametrize("columns", [140, 110, 80, 40])
def test_ids_names_and_figures_are_whole_on_a_terminal_of_any_width(service: StandIn, columns: int) -> None:
    image = service.keep(png(8, 8), prompt="a cat " * 50, model="a-model-with-a-rather-long-name")
    listed, models = OnTerminal(service, "ls", columns=columns), OnTerminal(service, "models", columns=columns)

    assert (listed.finish(), models.finish()) == (0, 0)
    assert image.id in listed.text
    assert "2026-11-23 06:43:00Z  8x8" in listed.text
    assert ("a-model-with-a-rather-long-name" in listed.text) == ("a-model" in listed.text) == (columns == 140)
    assert all(whole in models.text for whole in ("realesrgan-x4plus", "realesr-animevideo", "2, 3, 4"))


def test_interrupted_work_that_costs_nothing_is_not_spoken_of_as_paid(service: StandIn) -> None:
    command = OnTerminal(service, "generate", SLOW, "--model", "sketch")
    command.read_until(r"Generating.*50%")
    command.process.send_signal(signal.SIGINT)

    assert command.finish() == 130
    assert "limner show" in command.text
    assert "paid" not in command.text


def test_a_picture_is_not_poured_into_a_terminal(service: StandIn) -> None:
    command = OnTerminal(service, "get", service.keep(png(8, 8)).id, "-o", "-")

    assert command.finish() == 2
    assert "redirect" in command.text


@pytest.mark.parametrize("arguments", [["generate", "a cat"], ["ls"], ["models"], ["usage"], ["get", "0" * 32]])
def test_a_pipe_gets_no_escape_codes(service: StandIn, arguments: list[str]) -> None:
    forced = {**environment(service), "FORCE_COLOR": "1"}
    done = subprocess.run([*COMMAND, *arguments], env=forced, capture_output=True, timeout=30, check=False)

    assert b"\x1b" not in done.stdout + done.stderr
    assert TOKEN.encode() not in done.stdout + done.stderr


@pytest.mark.parametrize("arguments", [["generate", SLOW], ["generate", SLOW, "--json"]])
def test_ctrl_c_cancels_the_call(service: StandIn, arguments: list[str]) -> None:
    process = subprocess.Popen(
        [*COMMAND, *arguments], env=environment(service), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert service.running.wait(20)
    process.send_signal(signal.SIGINT)
    stdout, stderr = process.communicate(timeout=20)

    assert (process.returncode, stdout) == (130, "")
    assert stderr.endswith("Interrupted.\n")
    assert "Traceback" not in stderr
    assert service.left.wait(5)


def test_a_failed_handshake_is_told_in_one_line(service: StandIn) -> None:
    by_tls = {**environment(service), "LIMNER_SERVER": f"grpcs://{service.address}"}
    done = subprocess.run([*COMMAND, "usage"], env=by_tls, capture_output=True, text=True, timeout=30, check=False)

    assert (done.returncode, done.stderr.count("\n")) == (1, 1)
    assert "with TLS" in done.stderr
