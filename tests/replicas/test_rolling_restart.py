"""Replicas are replaced one after another under load: no caller notices, and the books stay right.

``LIMNER_RESTART_CALLS`` says how many calls at least; each replica is replaced once at least.
"""

import asyncio
import os
import random
import secrets
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.replicas.load import Load
from tests.replicas.site import DIRECT, Site, running_site

CALLS = int(os.environ.get("LIMNER_RESTART_CALLS", "400"))
DELAY_S = 4
"""Longer than Envoy takes to see that a replica is not ready: two checks, a second apart."""


@pytest.mark.timeout(300 + CALLS // 5)
def test_no_call_is_lost_while_replicas_are_replaced(tmp_path: Path, tell: Callable[[str], None]) -> None:
    seed = os.environ.get("LIMNER_RESTART_SEED") or secrets.token_hex(4)
    with running_site(tmp_path, LIMNER_DRAIN_DELAY_S=str(DELAY_S)) as site:
        load = Load(site, random.Random(seed))
        restarts = asyncio.run(_replace_under(load, site))
        made = sum(load.made.values())
        tell(f"seed {seed}: {made} calls, {restarts} restarts, {len(load.failures)} failed")
        assert load.failures == []
        check_books(site, load)


async def _replace_under(load: Load, site: Site) -> int:
    """Replace each replica, again and again until there were enough calls."""
    running = asyncio.create_task(load.run())
    restarts = 0
    while restarts < len(site.replicas) or sum(load.made.values()) < CALLS:
        replica = site.replicas[restarts % len(site.replicas)]
        assert await asyncio.to_thread(replica.end) == 0
        await asyncio.to_thread(replica.start)
        restarts += 1
        await asyncio.sleep(0)
    load.stop.set()
    await running
    return restarts


def check_books(site: Site, load: Load) -> None:
    """What callers were answered is kept, what was bought is known, and nothing was bought twice."""
    books = site.books()
    kept = {row.id for rows in books.images.values() for row in rows}
    assert load.acknowledged <= kept
    live = [row for rows in books.submissions.values() for row in rows if not row.void]
    sold = Counter({DIRECT: site.direct.ledger.pictures, "queued": site.queued.ledger.pictures})
    known = Counter(DIRECT if row.model == DIRECT else "queued" for row in live for _ in row.indexes)
    assert known == sold
    made = [row for rows in books.images.values() for row in rows if row.generation_id]
    assert len(made) == sold.total(), "what was bought is shown"
