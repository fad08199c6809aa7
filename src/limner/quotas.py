"""``limner quota``: what a workspace may use in a month."""

from limner.app import database_url, task_rules
from limner.domain.usage import Quota
from limner.persistence.repository import SqlRepository
from limner.settings import Settings

_MICROS = 1_000_000


async def change_quota(
    settings: Settings, workspace_id: str, *, images: int | None, usd: float | None, unlimited: bool, clear: bool
) -> str:
    """Change the quota of a workspace as asked, if anything was asked, and return it in words."""
    repository = SqlRepository(database_url(settings))
    try:
        if unlimited:
            await repository.set_quota(workspace_id, Quota())
        elif clear:
            await repository.set_quota(workspace_id, None)
        elif images is not None or usd is not None:
            cost_micros = None if usd is None else round(usd * _MICROS)
            await repository.set_quota(workspace_id, Quota(images=images, cost_micros=cost_micros))
        own = await repository.quota(workspace_id)
    finally:
        await repository.close()
    source = "its own" if own else "by the settings"
    return f"{workspace_id}: {in_words(own or task_rules(settings).quota)} ({source})"


def in_words(quota: Quota) -> str:
    """Return a quota in words."""
    images = "any number of images" if quota.images is None else f"{quota.images} images"
    money = "any cost" if quota.cost_micros is None else f"{quota.cost_micros / _MICROS:.2f} USD"
    return f"{images} a month, {money}"
