"""What callers bought from a fake provider."""

from dataclasses import dataclass


@dataclass(slots=True)
class Purchase:
    """One accepted request for pictures."""

    id: str
    model: str
    pictures: int
    prompt: str = ""
    refunded: bool = False


class Ledger:
    """Counts what a provider would put on its bill. Asking twice is buying twice."""

    def __init__(self) -> None:
        self._entries: list[Purchase] = []

    def buy(self, purchase_id: str, model: str, pictures: int, prompt: str = "") -> None:
        """Note an accepted request."""
        self._entries.append(Purchase(purchase_id, model, pictures, prompt))

    def refund(self, purchase_id: str) -> None:
        """Take a request off the bill: it failed, or was withdrawn in time."""
        for entry in self._entries:
            if entry.id == purchase_id:
                entry.refunded = True

    @property
    def accepted(self) -> int:
        """How many requests were accepted, refunded ones included."""
        return len(self._entries)

    @property
    def purchases(self) -> tuple[Purchase, ...]:
        """What is on the bill."""
        return tuple(entry for entry in self._entries if not entry.refunded)

    @property
    def pictures(self) -> int:
        """How many pictures are on the bill."""
        return sum(entry.pictures for entry in self.purchases)
