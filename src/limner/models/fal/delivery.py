"""Keeps count of the pictures of one order."""

from collections.abc import Iterable
from typing import Final

from limner.domain.errors import LimnerError
from limner.domain.task import MissingPicture, Task, UpscaleTask
from limner.models.http.outcome import gravest
from limner.service.ports import Job, MadePicture

_MAX_TELLING_CHARS: Final = 8000


class Delivery:
    """Hands pictures to the job, and gathers why others are missing until it is known whether there are any."""

    def __init__(self, job: Job, task: Task) -> None:
        self._job = job
        self._total = task.num_images
        self.prompt = "" if isinstance(task, UpscaleTask) else task.prompt
        self._made = 0
        self._missing: dict[int, LimnerError] = {}
        self._tellings: list[str] = []

    async def made(self, picture: MadePicture) -> None:
        """Hand over a picture; what then goes wrong makes it a missing one."""
        try:
            await self._job.made(picture)
        except LimnerError as error:
            self.missed((picture.index,), error)
            return
        self._made += 1
        self._step()

    def missed(self, indexes: Iterable[int], error: LimnerError) -> None:
        """Note why pictures are missing."""
        self._missing.update(dict.fromkeys(indexes, error))
        self._step()

    def describe(self, text: str) -> None:
        """Add what the model said."""
        if text and text not in self._tellings:
            self._tellings.append(text)

    def close(self) -> None:
        """Tell the job the rest; raise the gravest error when there is no picture at all."""
        if not self._made:
            raise gravest(self._missing[index] for index in sorted(self._missing))
        for index, error in sorted(self._missing.items()):
            self._job.missed(MissingPicture(index=index, reason=error.reason, message=error.message))
        if self._tellings:
            self._job.describe("\n".join(self._tellings)[:_MAX_TELLING_CHARS])

    def _step(self) -> None:
        if self._made:
            self._job.progress((self._made + len(self._missing)) / self._total)
