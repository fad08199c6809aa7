"""What a receiver reads: the event's type, its moment, and the generation as the REST calls show it."""

import json
from collections.abc import Mapping
from typing import Any, Final

from limner.domain.task import Generation, GenerationState

_TYPES: Final = {
    GenerationState.SUCCEEDED: "generation.completed",
    GenerationState.FAILED: "generation.failed",
    GenerationState.UNKNOWN: "generation.failed",
    GenerationState.CANCELLED: "generation.cancelled",
}


def event_body(generation: Generation, data: Mapping[str, Any]) -> bytes:
    """Return the JSON of the event of a generation that has ended; ``data`` is its REST form."""
    event = {
        "type": _TYPES[generation.state],
        "timestamp": generation.updated_at.isoformat().replace("+00:00", "Z"),
        "data": data,
    }
    return json.dumps(event, ensure_ascii=False, separators=(",", ":")).encode()
