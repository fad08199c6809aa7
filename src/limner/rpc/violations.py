"""All that is wrong with a request, gathered from where it is found: the gateway, and each check of the service."""

import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Final

from limner.domain.errors import FieldViolation, InvalidFieldError
from limner.rpc.call import Context

GATEWAY_KEY: Final = "x-limner-violations-bin"
"""Metadata with the wrong fields that the gateway took out of a REST request: names and problems, NUL between them.

Such a request must be refused, whatever is left of it.
"""

_TASKS: Final = ("generate", "edit", "upscale")


def found_by_gateway(context: Context) -> tuple[FieldViolation, ...]:
    """Return what the gateway took out of the request; empty when it left it as it was."""
    for name, value in context.invocation_metadata() or ():
        if name == GATEWAY_KEY:
            text = value.decode(errors="replace") if isinstance(value, bytes) else str(value)
            field, *parts = text.split("\0")
            return (
                FieldViolation(field, parts[0] if parts else "is wrong"),
                *map(FieldViolation, parts[1::2], parts[2::2]),
            )
    return ()


class Violations:
    """Gathers what is wrong, of each field what was found first."""

    def __init__(self, found: Iterable[FieldViolation] = ()) -> None:
        self._all = list(found)

    def __bool__(self) -> bool:
        return bool(self._all)

    def __contains__(self, field: str) -> bool:
        """Tell whether something is wrong with a field, or with a part of it."""
        return any(field in _names(each.field) for each in self._all)

    @contextmanager
    def gathering(self) -> Iterator[None]:
        """Take along what a check finds. Then what it returns is missing: ``refuse`` before it is needed."""
        try:
            yield
        except InvalidFieldError as error:
            self._all += [each for each in error.violations if _names(each.field)[-1] not in self]

    def refuse(self) -> None:
        """Raise ``InvalidFieldError`` when anything is wrong."""
        if self._all:
            raise InvalidFieldError(self._all)


def _names(field: str) -> list[str]:
    """Return which fields a violation is about: ``generate.image_ids[2]`` about the task and its imageIds."""
    outer, *inner = re.split(r"[.\[]", field)
    names = ["task", *inner[:1]] if outer in _TASKS else [outer]
    return [re.sub("_([a-z])", lambda match: match[1].upper(), name) for name in names]
