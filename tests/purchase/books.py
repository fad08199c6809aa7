"""Compares what the provider sold with what the service knows, keeps and counts."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from sqlalchemy import select, text

from limner.app import build_stores, database_url
from limner.domain.task import GenerationState
from limner.persistence.engine import open_engine
from limner.persistence.tables import generations, images, submissions, usage_months
from limner.service.clock import utc_now
from limner.service.ports import BlobNotFoundError
from limner.service.stores import Stores
from limner.service.sweeper import Sweeper
from limner.settings import Settings
from tests.fakes.pictures import colour_of, look
from tests.purchase.billed import PRICE_MICROS


@dataclass
class Books:
    """What the database says, by generation."""

    generations: Mapping[str, Any]
    images: Mapping[str, list[Any]]
    submissions: Mapping[str, list[Any]]
    usage: Mapping[str, tuple[int, int]]

    def states(self) -> Counter[str]:
        return Counter(row.state for row in self.generations.values())


async def audit(settings: Settings, sold: Counter[tuple[str, int]], *, acknowledged: Iterable[str] = ()) -> Books:
    """Check all that must hold when nothing runs any longer, and return the books.

    ``acknowledged`` are the ids of the images that callers were answered.
    """
    stores = build_stores(settings)
    try:
        books = read_books(settings)
        _check_purchases(books, sold)
        _check_acknowledged(books, acknowledged)
        _check_usage(books)
        await _check_bytes(books, stores)
    finally:
        await stores.close()
    return books


def read_books(settings: Settings) -> Books:
    engine = open_engine(database_url(settings), connections=1)
    with engine.connect() as connection:
        books = Books(
            generations={row.id: row for row in connection.execute(select(generations))},
            images=_grouped(connection.execute(select(images)), "generation_id"),
            submissions=_grouped(connection.execute(select(submissions)), "generation_id"),
            usage=_usage(connection.execute(select(usage_months))),
        )
    engine.dispose()
    return books


def execute(settings: Settings, statement: str) -> list[Any]:
    """Run a statement on the service's database, beside the service; return the rows of a query."""
    engine = open_engine(database_url(settings), connections=1)
    try:
        with engine.begin() as connection:
            result = connection.execute(text(statement))
            return list(result) if result.returns_rows else []
    finally:
        engine.dispose()


def _usage(rows: Any) -> dict[str, tuple[int, int]]:
    """What each workspace used in all months, in images and millionths of a US dollar."""
    usage: dict[str, tuple[int, int]] = {}
    for row in rows:
        images, cost_micros = usage.get(row.workspace_id, (0, 0))
        usage[row.workspace_id] = images + row.images, cost_micros + row.cost_micros
    return usage


def _grouped(rows: Any, name: str) -> dict[str, list[Any]]:
    groups: dict[str, list[Any]] = {}
    for row in rows:
        groups.setdefault(getattr(row, name), []).append(row)
    return groups


def _check_purchases(books: Books, sold: Counter[tuple[str, int]]) -> None:
    """Each prompt is of one request. Nothing was sold twice, unknown to us, or shown without being sold."""
    twice = {what: count for what, count in sold.items() if count > 1}
    assert not twice, f"bought twice: {twice}"
    submitted: Counter[tuple[str, int]] = Counter()
    for generation_id, rows in books.submissions.items():
        prompt = books.generations[generation_id].prompt
        submitted.update((prompt, index) for row in rows if not row.void for index in row.indexes)
    strangers = {what for what, count in sold.items() if count and what not in submitted}
    assert not strangers, f"bought without a record: {strangers}"
    buyers = _buyers(books)
    for row in books.generations.values():
        assert row.state != GenerationState.RUNNING, f"left running: {row.id} {row.prompt}"
        if row.model != "free":
            own = Counter({what: count for what, count in sold.items() if buyers.get(what) == row.id})
            _check_purchase(row, _shown(row, books), books.submissions.get(row.id, []), own)


def _buyers(books: Books) -> dict[tuple[str, int], str]:
    """Which generation bought a picture of a prompt.

    Of several with the same key it is the last one that was about to: only who bought nothing gives the key back.
    """
    return {
        (books.generations[generation_id].prompt, index): generation_id
        for generation_id in sorted(books.submissions)
        for each in books.submissions[generation_id]
        if not each.void
        for index in each.indexes
    }


def _shown(row: Any, books: Books) -> set[int]:
    """Which of the pictures that were asked for a generation shows."""
    return {row.planned_image_ids.index(image.id) for image in books.images.get(row.id, [])}


def _check_purchase(row: Any, shown: set[int], submitted: Sequence[Any], sold: Counter[tuple[str, int]]) -> None:
    """What a generation shows was sold, and what was sold is shown or honestly said to be in doubt."""
    live = [each for each in submitted if not each.void]
    bought = {index for each in live for index in each.indexes if sold[row.prompt, index]}
    assert shown <= bought, f"shown and not bought: {row.prompt} {shown - bought}"
    untold = set(range(row.requested_images)) - shown - {each["index"] for each in row.missing}
    assert not untold or not shown, f"neither shown nor said to be missing: {row.prompt} {untold}"
    lost = bought - shown
    if lost and row.state == GenerationState.CANCELLED:
        assert row.may_bill, f"billed, and said not to be: {row.prompt}"
    elif lost:
        known = {index for each in live if each.provider_job_id for index in each.indexes}
        assert not lost & known, f"known and given up: {row.state} {row.prompt} {lost & known}"
        assert shown or row.state == GenerationState.UNKNOWN, f"paid and lost: {row.state} {row.prompt}"


def _check_acknowledged(books: Books, acknowledged: Iterable[str]) -> None:
    lost = set(acknowledged) - {row.id for rows in books.images.values() for row in rows}
    assert not lost, f"acknowledged and lost: {lost}"


def _check_usage(books: Books) -> None:
    """Exactly what was made counts, and nothing is reserved by what does not run."""
    made: Counter[str] = Counter()
    cost: Counter[str] = Counter()
    for rows in books.images.values():
        for row in rows:
            if row.generation_id is not None:
                made[row.workspace_id] += 1
                cost[row.workspace_id] += 0 if row.model == "free" else PRICE_MICROS
    assert dict(books.usage) == {workspace: (made[workspace], cost[workspace]) for workspace in made}


async def _check_bytes(books: Books, stores: Stores) -> None:
    """After a sweep, with the clock two hours on, bytes and rows match one to one."""
    later = Stores(
        repository=stores.repository,
        blobs=stores.blobs,
        spool=stores.spool,
        codec=stores.codec,
        clock=lambda: utc_now() + timedelta(hours=2),
    )
    report = await Sweeper(later).sweep_all()
    assert not report.lost, f"rows without bytes: {report.lost}"
    assert not report.delivered, f"acknowledged out of the spool: {report.delivered}"
    shown = {row.id: row for rows in books.images.values() for row in rows if row.purged_at is None}
    stored = {key async for key in stores.blobs.keys("", "g")}
    assert stored == set(shown), f"bytes without rows: {stored - set(shown)}, the other way: {set(shown) - stored}"
    assert await stores.spool.keys() == ()
    for image_id, row in shown.items():
        if row.model in ("direct", "queue"):
            try:
                colour, _, _ = look(await stores.blobs.read(image_id))
            except BlobNotFoundError:
                raise AssertionError(f"no bytes: {image_id}") from None
            colours = {colour_of(row.prompt, None, index) for index in range(10)}
            assert colour in colours, "somebody else's picture"
