"""``content_provenance_checks``: the marks of a picture, in OpenAI's words."""

import asyncio
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from aiohttp import web

from limner.domain.errors import FieldViolation, InvalidFieldError
from limner.domain.provenance import Mark, MarkKind, MarkState
from limner.rpc.call import current_caller
from limner.service.provenance import ProvenanceReader
from limner.web.openai.bodies import FILE, file_body
from limner.web.openai.errors import json_answer
from limner.web.openai.inputs import Receiving

_STATES: Final[Mapping[MarkState, str]] = {
    MarkState.TRUSTED: "trusted",
    MarkState.VALID: "valid",
    MarkState.INVALID: "invalid",
    MarkState.ABSENT: "not_present",
}
AT_ONCE: Final = 2
"""How many pictures a worker takes from the disk at a time."""


class ProvenanceChecks:
    """Checks pictures, and keeps none. Nothing here knows SynthID, so nothing is said of it."""

    def __init__(self, reader: ProvenanceReader, scratch: Path) -> None:
        self._reader = reader
        self._scratch = scratch
        self._receiving = Receiving()
        self._places = asyncio.Semaphore(AT_ONCE)

    async def create(self, request: web.Request) -> web.StreamResponse:
        """Tell the marks of the file that came along."""
        place = self._receiving.place(current_caller().user_id)
        async with place, file_body(request, self._scratch) as picture, self._places:
            try:
                found = await self._reader.of_picture(request.match_info["workspaceId"], await picture.read())
            except InvalidFieldError as error:
                raise InvalidFieldError(FieldViolation(FILE, each.description) for each in error.violations) from error
        results = [_result(mark) for mark in found.marks if mark.kind is MarkKind.C2PA]
        return json_answer({"object": "content_provenance_check", "created_at": int(time.time()), "results": results})


def _result(mark: Mark) -> dict[str, Any]:
    return {
        "type": "c2pa",
        "outcome": "not_detected" if mark.state is MarkState.ABSENT else "detected",
        "validation_state": _STATES[mark.state],
        "issuer": mark.issuer or None,
        "generated_at": mark.time.isoformat() if mark.time else None,
        "model": None,
    }
