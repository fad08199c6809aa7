"""How many tasks are at work at once."""

from collections import Counter
from typing import Final

from limner.domain.errors import OverloadedError

_RESERVED_SHARE: Final = 16
"""One seat in so many is kept for workspaces that have none yet."""


class Seats:
    """A bounded number of seats. A workspace that has some already can't take the last ones."""

    def __init__(self, count: int) -> None:
        self._free = count
        self._reserved = count // _RESERVED_SHARE
        self._taken: Counter[str] = Counter()

    def take(self, workspace_id: str) -> None:
        """Take a seat, or raise ``OverloadedError`` at once."""
        if self._free <= (self._reserved if self._taken[workspace_id] else 0):
            raise OverloadedError
        self.take_again(workspace_id)

    def take_again(self, workspace_id: str) -> None:
        """Take a seat for work that was let in before, by a worker that died: even when none is free."""
        self._free -= 1
        self._taken[workspace_id] += 1

    def give(self, workspace_id: str) -> None:
        """Give a seat back."""
        self._free += 1
        self._taken[workspace_id] -= 1
        if not self._taken[workspace_id]:
            del self._taken[workspace_id]
