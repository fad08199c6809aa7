"""``limner show --history``: what is kept of a generation, in the order in which it came about."""

from collections.abc import Iterator
from datetime import datetime
from typing import Any

from sqlalchemy.exc import SQLAlchemyError

from limner.app import database_url
from limner.domain.errors import DatabaseUnavailableError, GenerationNotFoundError
from limner.persistence.engine import open_engine
from limner.persistence.history import History, Record, history
from limner.settings import Settings


def told_history(settings: Settings, generation_id: str) -> list[tuple[str, str]]:
    """Return names and values, a line each.

    Raises ``GenerationNotFoundError``, and ``DatabaseUnavailableError`` when the settings' database can't be read.
    """
    engine = open_engine(database_url(settings), connections=1)
    try:
        with engine.connect() as connection:
            found = history(connection, generation_id)
    except SQLAlchemyError as error:
        raise DatabaseUnavailableError from error
    finally:
        engine.dispose()
    if found is None:
        raise GenerationNotFoundError
    return list(_lines(found))


def _lines(found: History) -> Iterator[tuple[str, str]]:
    row = found.generation
    yield "workspace", f"{row['workspace_id']}, by {row['created_by_user_id']}"
    for key in found.keys:
        yield "key", f"{key['key']}, claimed {_time(key['claimed_at'])}"
    yield "planned", f"{_time(row['created_at'])}: {row['operation']} of {row['requested_images']} by {row['model']}"
    for each in found.submissions:
        yield f"purchase {each['number']}", _purchase(each, row["model"])
    for each in found.images:
        end = f", deleted {_time(each['deleted_at'])}" if each["deleted_at"] else ""
        yield f"image {each['position']}", f"{each['id']}, {each['model']}, {each['width']} × {each['height']}{end}"
    for each in row["missing"]:
        yield "missing", ", ".join(f"{name} {value}" for name, value in each.items() if value not in ("", None, {}))
    if row["cancel_requested"]:
        yield "cancelling", "asked for"
    yield "state", f"{row['state']} since {_time(row['updated_at'])}{', may be billed' if row['may_bill'] else ''}"
    if row["failure"]:
        yield "why", f"{row['failure'].get('reason', '')} {row['failure'].get('metadata') or ''}".strip()
    yield "worker", f"{row['worker_id']}, lease until {_time(row['lease_until'])}"
    for each in found.deliveries:
        due = each["next_attempt_at"]
        yield "webhook", f"{each['attempts']} attempts, {f'next {_time(due)}' if due else 'delivered or given up'}"


def _purchase(each: Record, model: str) -> str:
    pictures = ", ".join(str(index) for index in each["indexes"])
    became = "surely nothing bought" if each["void"] else each["provider_job_id"] or "no id known"
    return f"pictures {pictures} of {each['model'] or model}: {became}"


def _time(moment: datetime | Any) -> str:
    return moment.isoformat(timespec="milliseconds") if isinstance(moment, datetime) else str(moment)
