"""Tells receivers that generations have ended: at least once, patiently, and none at the cost of another.

A delivery is kept in the commit that ends its generation. Each attempt leases it first, so that other workers leave
it alone, and a worker that dies leaves it due again.
"""

import asyncio
import logging
import random
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from datetime import timedelta
from typing import Final

from limner.domain.errors import LimnerError
from limner.service import failpoints, tracing
from limner.service.clock import Clock
from limner.service.instruments import WEBHOOK_DELIVERIES
from limner.service.ports import Delivery, DeliveryError, ReceiverGoneError, Repository, WebhookSender

log = logging.getLogger(__name__)

RETRY_DELAYS: Final = (
    timedelta(seconds=5),
    timedelta(minutes=5),
    timedelta(minutes=30),
    timedelta(hours=2),
    timedelta(hours=5),
    timedelta(hours=10),
    timedelta(hours=14),
    timedelta(hours=20),
    timedelta(hours=24),
)
"""From one attempt to the next: ten attempts in three days and some hours, as Standard Webhooks has it."""

JITTER: Final = 0.1
"""Each delay is up to this part of it shorter or longer."""

LEASE: Final = timedelta(seconds=60)
"""Longer than an attempt may take."""

AT_ONCE: Final = 128
AT_ONCE_PER_WORKSPACE: Final = 4
"""Most attempts under way in one worker: a receiver that is slow has few of them, and leaves the rest to others."""

LOOK_INTERVAL_S: Final = 1.0


class Notifier:
    """Delivers the events of the workspaces that ``sender`` knows; the others' wait until a sender knows them."""

    def __init__(
        self,
        repository: Repository,
        sender: WebhookSender,
        clock: Clock,
        *,
        jitter: Callable[[], float] = random.random,
        look_interval_s: float = LOOK_INTERVAL_S,
    ) -> None:
        """``jitter`` returns 0 to 1."""
        self._repository = repository
        self._sender = sender
        self._clock = clock
        self._jitter = jitter
        self._look_interval_s = look_interval_s
        self._under_way: Counter[str] = Counter()
        self._freed = asyncio.Event()

    async def keep_notifying(self) -> None:
        """Deliver what is due, again and again. Never returns; when it is cancelled, attempts are broken off."""
        async with asyncio.TaskGroup() as attempts:
            while True:
                self._freed.clear()
                try:
                    await self._begin_due(attempts)
                    await self._rest()
                except LimnerError as error:
                    log.warning("no webhook is delivered", extra={"reason": error.reason})
                    await asyncio.sleep(self._look_interval_s)

    async def _rest(self) -> None:
        """Return when it is time to look again: after a while, or when an attempt made room for another."""
        with suppress(TimeoutError):
            async with asyncio.timeout(self._look_interval_s):  # wait_for may swallow a cancellation
                await self._freed.wait()

    async def _begin_due(self, attempts: asyncio.TaskGroup) -> None:
        due = await self._repository.workspaces_to_notify(self._clock())
        known = [each for each in due if each in self._sender.workspaces]
        random.shuffle(known)  # else, when there is room for a few only, it would be the same few each time
        for workspace_id in known:
            room = min(AT_ONCE - self._under_way.total(), AT_ONCE_PER_WORKSPACE - self._under_way[workspace_id])
            if room <= 0:
                continue
            now = self._clock()
            for delivery in await self._repository.lease_deliveries(workspace_id, now, now + LEASE, room):
                self._under_way[workspace_id] += 1
                attempts.create_task(self._attempt(delivery), name=f"webhook-{delivery.id}")

    async def _attempt(self, delivery: Delivery) -> None:
        try:
            facts = {tracing.GENERATION: delivery.generation_id}
            with tracing.span("webhook", facts, kind=tracing.Kind.CLIENT, traceparent=delivery.traceparent) as span:
                failure = await self._failure(delivery)
                if failure is not None:
                    span.fail(type(failure).__name__)
            await self._settle(delivery, failure)
        except LimnerError as error:
            # Due again when its lease ends.
            log.warning("a webhook is not settled", extra={**_names(delivery), "reason": error.reason})
        except Exception:
            log.exception("a webhook is not settled", extra=_names(delivery))
        finally:
            self._under_way[delivery.workspace_id] -= 1
            self._freed.set()

    async def _failure(self, delivery: Delivery) -> DeliveryError | None:
        """Make one attempt and return why it failed, or ``None``."""
        generation = await self._repository.generation(delivery.workspace_id, delivery.generation_id)
        assert generation is not None  # its delivery refers to it
        try:
            await self._sender.send(delivery, generation)
            failpoints.reach("webhook-sent")
        except DeliveryError as error:
            return error
        except Exception:
            log.exception("a webhook could not be sent", extra=_names(delivery))
            return DeliveryError("the event could not be sent")
        return None

    async def _settle(self, delivery: Delivery, failure: DeliveryError | None) -> None:
        outcome = "gone" if isinstance(failure, ReceiverGoneError) else "failed" if failure else "delivered"
        WEBHOOK_DELIVERIES.add(1, outcome)
        if failure is None:
            await self._repository.end_delivery(delivery.id)
            log.info("a webhook was delivered", extra=_names(delivery))
            return
        names = {**_names(delivery), "problem": str(failure), "attempt": delivery.attempts + 1}
        if isinstance(failure, ReceiverGoneError) or delivery.attempts >= len(RETRY_DELAYS):
            await self._repository.end_delivery(delivery.id)
            log.error("a webhook is given up", extra=names)
        else:
            await self._repository.postpone_delivery(delivery, self._clock() + self._delay(delivery, failure))
            log.warning("a webhook was not delivered", extra=names)

    def _delay(self, delivery: Delivery, failure: DeliveryError) -> timedelta:
        """Return the next delay of the schedule, or the receiver's own wish when that is longer, up to a day."""
        usual = RETRY_DELAYS[delivery.attempts] * (1 + JITTER * (2 * self._jitter() - 1))
        return max(usual, min(timedelta(seconds=failure.retry_after_s), RETRY_DELAYS[-1]))


def _names(delivery: Delivery) -> dict[str, str | int]:
    return {"delivery_id": delivery.id, "generation_id": delivery.generation_id}
