"""One device: a bounded queue of pictures, made in batches of those that fit together."""

import asyncio
import itertools
import logging
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Final

from limner.domain import limits
from limner.domain.errors import (
    ContentRejectedError,
    FieldViolation,
    InvalidFieldError,
    LimnerError,
    OverloadedError,
    ProviderMisconfiguredError,
    ProviderUnavailableError,
)
from limner.models.child import ChildProcess
from limner.models.conversation import Line
from limner.models.diffusers.wire import (
    Batch,
    Cancel,
    Done,
    Made,
    Missed,
    Preview,
    Ready,
    Recipe,
    Steps,
    Wanted,
    Why,
)
from limner.service.ports import InputPicture

_UNKNOWN_WAIT_S: Final = 10.0

_INHERITED: Final = ("HOME", "XDG_CACHE_HOME", "HF_HOME", "HF_HUB_CACHE", "CUDA_VISIBLE_DEVICES", "CUDA_HOME")
"""What the worker sees of the environment: no credentials."""
_QUIET: Final = {
    "DIFFUSERS_VERBOSITY": "error",  # a warning would show what of a prompt is not read
    "TRANSFORMERS_VERBOSITY": "error",
    "HF_HUB_DISABLE_TELEMETRY": "1",
    "TQDM_DISABLE": "1",
}
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Drawn:
    """A finished picture, as PNG. Lengths are pixels."""

    data: bytes
    width: int
    height: int


@dataclass(eq=False, slots=True, kw_only=True)
class Asked:
    """One picture that somebody waits for."""

    recipe: Recipe
    prompt: str
    seed: int
    inputs: Sequence[InputPicture] = ()
    progress: Callable[[float], None]
    """Told how much of this picture is done, 0 to 1."""
    preview: Callable[[bytes], None]
    """Given a small PNG of what the picture will be."""
    watched: Callable[[], bool]
    """Whether anybody would see a preview."""
    result: "asyncio.Future[Drawn]" = field(default_factory=lambda: asyncio.get_running_loop().create_future())

    def tell(self, outcome: Drawn | LimnerError) -> None:
        """Give the picture, or why there is none, to who still waits for it."""
        if self.result.done():
            return
        if isinstance(outcome, Drawn):
            self.result.set_result(outcome)
        else:
            self.result.set_exception(outcome)

    def forget(self) -> None:
        """Nobody waits for the picture any longer."""
        if not self.result.cancel() and not self.result.cancelled():
            self.result.exception()  # asyncio would complain about one that nobody looked at


class Device:
    """Makes the pictures of all models on one device, in one worker process.

    The first of the queue is always among the next batch; those behind it that are made alike join it. The
    process starts with the first picture, keeps its pipelines loaded, and is replaced when it ends or hangs.
    """

    def __init__(
        self, name: str = "", *, threads: int = 0, places: int = 100, load_s: float = 900.0, silence_s: float = 300.0
    ) -> None:
        """Set the bounds.

        name: as PyTorch calls it, such as ``cuda:1`` or ``cpu``; empty for ``cuda`` where there is one, else ``cpu``.
        threads: processor cores that it takes; 0 for all.
        places: how many pictures may be asked for and not yet be handed over; more are refused.
        load_s: how long the process may take until a pipeline is loaded, in seconds.
        silence_s: how long a step may take before the process counts as hung, in seconds.
        """
        self.places = places
        self._free = places
        self._load_s, self._silence_s = load_s, silence_s
        self._process = ChildProcess(
            "limner.models.diffusers.worker", (name, str(threads)), inherited=_INHERITED, environment=_QUIET
        )
        self._numbers = itertools.count()
        self._waiting: list[Asked] = []
        self._running: dict[int, Asked] = {}
        self._work: asyncio.Task[None] | None = None
        self._batch_s = _UNKNOWN_WAIT_S
        self._closed = False

    @property
    def pid(self) -> int | None:
        """The process id; ``None`` while there is no process."""
        return self._process.pid

    @contextmanager
    def making(self, pictures: Sequence[Asked]) -> Iterator[None]:
        """Queue the pictures, all of them or none; at the end, forget those that are not made.

        Raises ``OverloadedError`` when too many wait. A result is the picture, or ``ContentRejectedError``,
        ``InvalidFieldError``, ``OverloadedError``, ``ProviderMisconfiguredError`` or ``ProviderUnavailableError``.
        """
        if self._closed:
            raise ProviderUnavailableError
        if len(pictures) > self._free:
            raise OverloadedError(retry_after_s=max(1.0, self._batch_s))
        self._free -= len(pictures)
        self._waiting.extend(pictures)
        if self._work is None or self._work.done():
            self._work = asyncio.create_task(self._make_all())
        try:
            yield
        finally:
            self._free += len(pictures)
            self._withdraw(pictures)

    async def close(self) -> None:
        """End the process and wait for its end; pictures that run or wait become unavailable."""
        self._closed = True
        for asked in self._waiting:
            asked.tell(ProviderUnavailableError())
        self._waiting.clear()
        self._process.kill()
        if self._work:
            await self._work
        self._process.end()
        await self._process.ended()

    def _withdraw(self, pictures: Sequence[Asked]) -> None:
        """Stop what nobody waits for, at the worker by its next step."""
        for asked in pictures:
            asked.forget()
        self._waiting = [asked for asked in self._waiting if asked not in pictures]
        self._cancel([number for number, asked in self._running.items() if asked in pictures])

    def _cancel(self, numbers: list[int]) -> None:
        if numbers:
            self._process.say(Cancel(numbers=numbers))

    async def _make_all(self) -> None:
        while self._waiting:
            batch = self._next_batch()
            try:
                await self._make(batch)
            except (OSError, EOFError, ValueError) as error:  # a timeout is an OSError
                _log.warning("the worker process ended or hung: %r", error)
                self._process.end()
            except Exception:
                _log.exception("a batch failed")
                self._process.end()
            finally:
                self._running.clear()
                for asked in batch:
                    asked.tell(ProviderUnavailableError())

    def _next_batch(self) -> list[Asked]:
        """Take the first picture and those made alike, as many as go together."""
        recipe = self._waiting[0].recipe
        batch = [asked for asked in self._waiting if asked.recipe == recipe][: recipe.max_batch]
        self._waiting = [asked for asked in self._waiting if asked not in batch]
        return batch

    async def _make(self, batch: Sequence[Asked]) -> None:
        began_at = time.monotonic()
        inputs = [await _read(asked) for asked in batch]
        wanted = {
            next(self._numbers): (asked, data)
            for asked, data in zip(batch, inputs, strict=True)
            if data is not None and not asked.result.done()
        }
        if not wanted:
            return
        await self._process.start()
        if self._closed:
            raise EOFError
        pictures = tuple(_wanted(number, asked, data) for number, (asked, data) in wanted.items())
        line = Batch(recipe=batch[0].recipe, pictures=pictures)
        await self._process.send(line, [each for _, data in wanted.values() for each in data])
        self._running = {number: asked for number, (asked, _) in wanted.items()}
        self._cancel([number for number, asked in self._running.items() if asked.result.done()])
        await self._listen()
        self._batch_s = time.monotonic() - began_at

    async def _listen(self) -> None:
        """Pass on what the worker says until the batch is done."""
        said = await self._process.line(self._load_s)
        while not isinstance(said, Done):
            await self._pass_on(said)
            said = await self._process.line(self._silence_s)

    async def _pass_on(self, said: Line) -> None:
        match said:
            case Ready():
                pass
            case Steps():
                for number in said.numbers:
                    self._running[number].progress(said.done / (said.total + 1))
            case Preview():
                self._running[said.number].preview(await self._process.data(said.size_bytes, self._silence_s))
            case Made():
                data = await self._process.data(said.size_bytes, self._silence_s)
                self._running[said.number].tell(Drawn(data=data, width=said.width, height=said.height))
            case Missed():
                self._running[said.number].tell(self._error(said))
            case _:
                raise ValueError("nothing that a worker says")

    def _error(self, missed: Missed) -> LimnerError:
        match missed.why:
            case Why.REJECTED:
                return ContentRejectedError("The model's safety checker flags this picture.")
            case Why.PROMPT:
                return InvalidFieldError([FieldViolation("prompt", f"the model reads at most {missed.detail} tokens")])
            case Why.INPUT:
                return InvalidFieldError([FieldViolation("imageIds", f"a picture can't be read: {missed.detail}")])
            case Why.TOO_LARGE:
                most = limits.MAX_STORED_BYTES // limits.MIB
                return InvalidFieldError([FieldViolation("upscaleFactor", f"the result takes more than {most} MiB")])
            case Why.MEMORY:
                return OverloadedError("There is too little memory for this picture now.", retry_after_s=self._batch_s)
            case Why.SETUP:
                return ProviderMisconfiguredError()
            case _:
                return ProviderUnavailableError("The model did not make this picture.")


async def _read(asked: Asked) -> list[bytes] | None:
    """Return the bytes of the inputs, or ``None`` when that was told already."""
    try:
        return [await each.read() for each in asked.inputs]
    except LimnerError as error:
        asked.tell(error)
    except Exception:
        _log.exception("an input can't be read")
        asked.tell(ProviderUnavailableError())
    return None


def _wanted(number: int, asked: Asked, data: Sequence[bytes]) -> Wanted:
    return Wanted(
        number=number,
        prompt=asked.prompt,
        seed=asked.seed,
        preview=asked.watched(),
        input_bytes=tuple(len(each) for each in data),
    )
