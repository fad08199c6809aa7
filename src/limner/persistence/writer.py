"""One thread that writes, and commits what waits in one go."""

import asyncio
import contextlib
import queue
import threading
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Final, TypeAlias, TypeVar

from sqlalchemy import Connection, Engine

from limner.domain.errors import DatabaseUnavailableError, OverloadedError
from limner.persistence.engine import begin, is_unavailable, is_worth_retrying

Item = TypeVar("Item")
Result = TypeVar("Result")

Write: TypeAlias = Callable[[Connection, Sequence[Item]], Sequence[Result | Exception]]
"""Does the same for several items in a running transaction, and returns a result, or a refusal, for each.

It may be run again after a rollback. What it raises undoes the transaction.
"""

MAX_BATCH: Final = 256
"""Most calls in one transaction."""


class _Call:
    """One item that waits to be written."""

    __slots__ = ("flush", "future", "item", "outcome", "write")

    def __init__(self, write: Write[Any, Any], item: Any, future: asyncio.Future[Any], flush: bool) -> None:
        self.write = write
        self.item = item
        self.future = future
        self.flush = flush
        self.outcome: Any = None


class _UnknownOutcomeError(Exception):
    """The commit failed; whether it took place is unknown."""


class GroupCommitWriter:
    """Runs writes in a thread of its own: all that wait share one transaction, and so one flush to disk.

    The more calls wait, the less each costs. When one of them is wrong, each is run again in a transaction
    of its own, so that it fails alone. A call that finds ``queue`` others waiting is refused with
    ``OverloadedError``; one that is cancelled while it waits is never run, later it is.

    A transaction that lost its connection before the commit is run again, once. What is unavailable after
    that ends all calls with ``DatabaseUnavailableError``; only when the commit itself broke, ``may_be_kept``.
    """

    def __init__(self, engine: Engine, *, queue_length: int) -> None:
        self._engine = engine
        self._connection: Connection | None = None
        self._free = queue_length
        self._calls: queue.SimpleQueue[_Call | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._serve, name="database-writer", daemon=True)
        self._loop: asyncio.AbstractEventLoop | None = None

    async def run(self, write: Write[Item, Result], item: Item, *, flush: bool = True) -> Result:
        """Write one item, and return when it is committed. Raises what the write returned as a refusal.

        Without ``flush`` a power cut may undo it, until any later write that is flushed: see ``engine.begin``.
        """
        if self._free <= 0:
            raise OverloadedError
        if self._loop is None:
            self._loop = asyncio.get_running_loop()
            self._thread.start()
        self._free -= 1
        call = _Call(write, item, self._loop.create_future(), flush)
        self._calls.put(call)
        result: Result = await call.future
        return result

    async def close(self) -> None:
        """Write what waits, and release the connection."""
        if self._loop is not None:
            self._calls.put(None)
            await asyncio.to_thread(self._thread.join)

    def _serve(self) -> None:
        closing = False
        while not closing:
            calls, closing = self._take()
            if calls:
                self._write(calls)
                self._answer_soon(calls)
        self._disconnect()

    def _take(self) -> tuple[list[_Call], bool]:
        """Wait for a call; return it with all that wait behind it, and whether it is time to close."""
        calls: list[_Call] = []
        call = self._calls.get()
        with contextlib.suppress(queue.Empty):
            while call is not None:
                calls.append(call)
                if len(calls) == MAX_BATCH:
                    break
                call = self._calls.get_nowait()
        return calls, call is None

    def _write(self, calls: Sequence[_Call]) -> None:
        """Give every call its outcome."""
        wanted = [call for call in calls if not call.future.cancelled()]
        try:
            self._transact_twice(wanted)
        except _UnknownOutcomeError as error:
            _fail(wanted, error, may_be_kept=True)
        except Exception as error:
            if is_unavailable(error):
                _fail(wanted, error)
            elif len(wanted) == 1:
                wanted[0].outcome = error
            else:
                self._write_each(wanted)

    def _write_each(self, calls: Sequence[_Call]) -> None:
        for position, call in enumerate(calls):
            self._write([call])
            if isinstance(call.outcome, DatabaseUnavailableError):
                _fail(calls[position + 1 :], call.outcome)
                return

    def _transact_twice(self, calls: Sequence[_Call]) -> None:
        try:
            self._transact(calls)
        except Exception as error:
            if not is_worth_retrying(error):
                raise
            self._transact(calls)

    def _transact(self, calls: Sequence[_Call]) -> None:
        with self._connected() as connection:
            transaction = begin(connection, flush=any(call.flush for call in calls))
            try:
                for write, group in _by_write(calls):
                    for call, outcome in zip(group, write(connection, [call.item for call in group]), strict=True):
                        call.outcome = outcome
            except BaseException:
                transaction.rollback()
                raise
            try:
                transaction.commit()
            except Exception as error:
                raise _UnknownOutcomeError from error

    @contextlib.contextmanager
    def _connected(self) -> Iterator[Connection]:
        """Yield the connection, which is kept from one transaction to the next unless it let us down."""
        try:
            if self._connection is None:
                self._connection = self._engine.connect()
            yield self._connection
        except Exception as error:
            if isinstance(error, _UnknownOutcomeError) or is_unavailable(error):
                self._disconnect()
            raise

    def _disconnect(self) -> None:
        if self._connection is not None:
            with contextlib.suppress(Exception):
                self._connection.invalidate()
            with contextlib.suppress(Exception):
                self._connection.close()
            self._connection = None

    def _answer_soon(self, calls: Sequence[_Call]) -> None:
        # Once per batch: waking the loop costs more than the answers.
        with contextlib.suppress(RuntimeError):  # the loop is closed, nobody waits any longer
            if self._loop is not None:
                self._loop.call_soon_threadsafe(self._answer, calls)

    def _answer(self, calls: Sequence[_Call]) -> None:
        self._free += len(calls)
        for call in calls:
            if call.future.done():
                continue
            if isinstance(call.outcome, Exception):
                call.future.set_exception(call.outcome)
            else:
                call.future.set_result(call.outcome)


def _by_write(calls: Sequence[_Call]) -> Iterator[tuple[Write[Any, Any], list[_Call]]]:
    # Any order will do: calls that wait together were made by callers who did not wait for each other.
    groups: dict[Write[Any, Any], list[_Call]] = {}
    for call in calls:
        groups.setdefault(call.write, []).append(call)
    yield from groups.items()


def _fail(calls: Sequence[_Call], cause: BaseException, *, may_be_kept: bool = False) -> None:
    for call in calls:
        call.outcome = DatabaseUnavailableError()
        call.outcome.may_be_kept = may_be_kept
        call.outcome.__cause__ = cause
