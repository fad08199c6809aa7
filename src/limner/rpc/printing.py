"""Messages as JSON, as the gateway prints them."""

from typing import Any

from google.protobuf.json_format import MessageToDict

from limner.domain.task import Generation
from limner.rpc.mapping import generation_message


def generation_json(generation: Generation) -> dict[str, Any]:
    """Return what ``GetGeneration`` answers over REST."""
    return MessageToDict(generation_message(generation), always_print_fields_with_no_presence=True)
