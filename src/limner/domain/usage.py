"""What a workspace used in a month."""

from dataclasses import dataclass


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
