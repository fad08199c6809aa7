"""The worker process: makes one batch of pictures after another until the service closes its end.

Run as ``python -m limner.models.diffusers.worker DEVICE THREADS``; an empty device is the first one there is,
0 threads are one for each core. What it does not expect ends it, with a traceback on stderr for the operator;
the service starts another.
"""

import contextlib
import logging
import os
import queue
import sys
import threading
from typing import BinaryIO, TypeAlias

import torch

from limner.models.conversation import Line, begin, decode
from limner.models.diffusers.making import Studio
from limner.models.diffusers.wire import Batch, Cancel, Done

_log = logging.getLogger(__name__)

Inputs: TypeAlias = list[list[bytes]]
"""The input pictures of each picture of a batch."""


class Conversation:
    """The service. What it says is read by a thread of its own: cancelling comes while a batch is made."""

    def __init__(self, requests: BinaryIO, replies: BinaryIO) -> None:
        self._requests = requests
        self._replies = replies
        self._batches: queue.SimpleQueue[tuple[Batch, Inputs]] = queue.SimpleQueue()
        self._cancelled: frozenset[int] = frozenset()
        threading.Thread(target=self._listen, daemon=True).start()

    def next_batch(self) -> tuple[Batch, Inputs]:
        """Wait for a batch."""
        return self._batches.get()

    def wants(self, number: int) -> bool:
        """Whether somebody still waits for this picture of the last batch."""
        return number not in self._cancelled

    def tell(self, line: Line, data: bytes = b"") -> None:
        """Send a line, and the bytes that follow it."""
        self._replies.write(line.encode())
        self._replies.write(data)
        self._replies.flush()

    def _listen(self) -> None:
        try:
            while line := self._requests.readline():
                self._take(decode(line))
        except Exception:
            _log.exception("the service can't be understood")
        os._exit(0)  # a service that died took the pipes along: nothing is left to flush

    def _take(self, said: Line) -> None:
        if isinstance(said, Cancel):
            self._cancelled |= set(said.numbers)
        elif isinstance(said, Batch):
            self._cancelled = frozenset()
            inputs = [[self._requests.read(size) for size in wanted.input_bytes] for wanted in said.pictures]
            self._batches.put((said, inputs))


def main() -> None:
    """Make what standard input asks for, and answer on standard output."""
    device, threads = sys.argv[1], int(sys.argv[2])
    replies = begin()
    logging.basicConfig(level=logging.WARNING, format="%(levelname)s %(name)s: %(message)s")
    torch.set_num_threads(threads or len(os.sched_getaffinity(0)))
    conversation = Conversation(sys.stdin.buffer, replies)
    studio = Studio(device, conversation)
    with contextlib.suppress(BrokenPipeError):
        while True:
            studio.make(*conversation.next_batch())
            conversation.tell(Done())
    os._exit(0)


if __name__ == "__main__":
    main()
