"""What becomes of the pictures of one order."""

from collections.abc import Iterable
from typing import Final

from limner.domain.errors import LimnerError
from limner.domain.task import MissingPicture, UpscaleTask
from limner.service.ports import Job, MadePicture, Order

_MAX_WORDS_CHARS: Final = 8000


class Tally:
    """Hands pictures to the job, and gathers why others are lost until it is known whether there are any.

    One lost picture takes no other along; when all are lost, the order has failed by the gravest of the reasons.
    """

    def __init__(self, order: Order, job: Job, *, steps: bool = True) -> None:
        """``steps``: whether each picture is a step of progress; a model that knows finer ones tells them itself."""
        self.order = order
        self.job = job
        self._total = order.task.num_images
        self._steps = steps
        self._made = 0
        self._lost: dict[int, LimnerError] = {}
        self._words: dict[int, str] = {}

    @property
    def prompt(self) -> str:
        """What a provider's texts may repeat."""
        task = self.order.task
        return "" if isinstance(task, UpscaleTask) else task.prompt

    async def made(self, picture: MadePicture) -> None:
        """Hand over a picture; one that can't be kept is lost."""
        try:
            await self.job.made(picture)
        except LimnerError as error:
            self.lost((picture.index,), error)
        else:
            self._made += 1
            self._step()

    def lost(self, indexes: Iterable[int], error: LimnerError) -> None:
        """Note why pictures will not come."""
        self._lost |= dict.fromkeys(indexes, error)
        self._step()

    def describe(self, index: int, text: str) -> None:
        """Pass on what the model said with a picture, in the order of the pictures, each text once."""
        if text and self._words.get(index) != text:
            self._words[index] = text
            texts = dict.fromkeys(self._words[each] for each in sorted(self._words))
            self.job.describe("\n".join(texts)[:_MAX_WORDS_CHARS])

    def settle(self) -> None:
        """Tell the job of each lost picture; raise the gravest error when there is no other."""
        if self._lost and not self._made:
            # Imported when all is lost: local models do without an http client.
            from limner.models.http.outcome import gravest

            raise gravest(self._lost[index] for index in sorted(self._lost))
        for index, error in sorted(self._lost.items()):
            self.job.missed(MissingPicture(index=index, reason=error.reason, message=error.message))

    def _step(self) -> None:
        if self._steps:
            self.job.progress((self._made + len(self._lost)) / self._total)
