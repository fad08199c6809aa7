"""What a workspace used in a month."""

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True, kw_only=True)
class Usage:
    """Images made and money spent by a workspace in one month (UTC)."""

    workspace_id: str
    month: str
    """Such as ``2026-11``."""
    images_used: int = 0
    images_reserved: int = 0
    cost_used_micros: int = 0
    """In millionths of a US dollar."""
    cost_reserved_micros: int = 0
    quota: "Quota" = field(default_factory=lambda: Quota())


@dataclass(frozen=True, slots=True, kw_only=True)
class Quota:
    """The most that a workspace may use in a month; ``None`` is no limit."""

    images: int | None = None
    cost_micros: int | None = None

    def grants(self, usage: Usage, images: int, unit_cost_micros: int) -> int:
        """Return how many of so many more images fit, each at a price in millionths of a US dollar."""
        if self.images is not None:
            images = min(images, self.images - usage.images_used - usage.images_reserved)
        if self.cost_micros is not None and unit_cost_micros > 0:
            left = self.cost_micros - usage.cost_used_micros - usage.cost_reserved_micros
            images = min(images, left // unit_cost_micros)
        return max(images, 0)
