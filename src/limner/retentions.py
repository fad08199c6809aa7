"""``limner retention``: how long a workspace keeps its images."""

from limner.app import database_url
from limner.domain.image import Retention
from limner.persistence.repository import SqlRepository
from limner.settings import Settings


async def change_retention(
    settings: Settings, workspace_id: str, *, days: int | None, forever: bool, clear: bool
) -> str:
    """Change how long a workspace keeps its images as asked, if anything was asked, and return it in words."""
    repository = SqlRepository(database_url(settings))
    try:
        if clear:
            await repository.set_retention(workspace_id, None)
        elif forever or days is not None:
            await repository.set_retention(workspace_id, Retention(days))
        own = await repository.retention(workspace_id)
    finally:
        await repository.close()
    source = "its own" if own else "by the settings"
    return f"{workspace_id}: {in_words(own or Retention(settings.retention_days))} ({source})"


def in_words(retention: Retention) -> str:
    """Return a retention in words."""
    if retention.days is None:
        return "images are kept until they are deleted"
    return "images are kept for a day" if retention.days == 1 else f"images are kept for {retention.days} days"
