"""Processes that handle manifests: each does one thing at a time, and is replaced when it takes too long or dies."""

import os
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from queue import Empty, SimpleQueue
from typing import Any, Final

from limner.provenance.wire import receive, send

START_S: Final = 30.0
"""How long a new process may take besides to load its libraries."""


class ProcessLostError(Exception):
    """The process took too long, or died of what it was given."""


class Process:
    """One process, started at once. Its methods block, and are called by one thread at a time."""

    def __init__(self, module: str, configuration: Mapping[str, Any]) -> None:
        # No environment but the import path: who takes a decoder over finds no keys there. Our own comes by the pipe.
        environment = {"PYTHONPATH": os.pathsep.join(sys.path)}
        self._process = subprocess.Popen(  # noqa: S603 (a fixed command)
            [sys.executable, "-P", "-m", module],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env=environment,
        )
        self._grace_s = START_S
        self._configuration: Mapping[str, Any] | None = configuration

    def ask(self, document: object, blobs: Sequence[bytes], timeout_s: float) -> tuple[Any, list[bytes]]:
        """Return the answer. Raises ``ProcessLostError``; the process is of no use then."""
        assert self._process.stdin is not None and self._process.stdout is not None
        timer = threading.Timer(timeout_s + self._grace_s, self._process.kill)
        timer.start()
        try:
            if self._configuration is not None:
                send(self._process.stdin, self._configuration)
                self._configuration = None
            send(self._process.stdin, document, blobs)
            answer = receive(self._process.stdout)
        except (OSError, EOFError, ValueError) as error:
            self.kill()
            raise ProcessLostError from error
        finally:
            timer.cancel()
        self._grace_s = 0.0
        return answer

    def kill(self) -> None:
        """End the process at once."""
        self._process.kill()
        for pipe in (self._process.stdin, self._process.stdout):
            assert pipe is not None
            try:
                pipe.close()
            except OSError:  # what it was to be sent is not wanted any longer
                continue
        self._process.wait()


class Processes:
    """As many processes as ask at the same time, kept for who asks next. Thread-safe."""

    def __init__(self, module: str, configuration: Mapping[str, Any]) -> None:
        self._module = module
        self._configuration = configuration
        self._idle: SimpleQueue[Process] = SimpleQueue()
        self._closed = False

    def ask(self, document: object, blobs: Sequence[bytes], timeout_s: float) -> tuple[Any, list[bytes]]:
        """Return the answer. Raises ``ProcessLostError`` when none came in time."""
        try:
            process = self._idle.get_nowait()
        except Empty:
            process = Process(self._module, self._configuration)
        answer = process.ask(document, blobs, timeout_s)
        if self._closed:
            process.kill()
        else:
            self._idle.put(process)
        return answer

    def close(self) -> None:
        """End those that are idle, and the others when they are done."""
        self._closed = True
        while True:
            try:
                self._idle.get_nowait().kill()
            except Empty:
                return
