"""What makes two requests the same request."""

import hashlib
import json
from dataclasses import asdict, replace
from typing import Final

from limner.domain.errors import FieldViolation, InvalidFieldError
from limner.domain.task import Operation
from limner.service.drafts import TaskDraft
from limner.service.ports import Claim

MAX_KEY_CHARS: Final = 128


def claim_of(draft: TaskDraft, request_id: str | None, header: str | None) -> Claim | None:
    """Return the key of a request, from its field or its header; ``None`` when it has neither.

    Raises ``InvalidFieldError`` for a key of the wrong length, with invisible characters, or when both differ.
    """
    if request_id is None and header is None:
        return None
    if request_id is not None and header is not None and request_id != header:
        raise _invalid("differs from the header Idempotency-Key")
    key = request_id if request_id is not None else header or ""
    if not 1 <= len(key) <= MAX_KEY_CHARS or not key.isprintable():
        raise _invalid(f"must have 1 to {MAX_KEY_CHARS} visible characters")
    return Claim(key=key, fingerprint=fingerprint(draft), former_fingerprint=former_fingerprint(draft))


def former_fingerprint(draft: TaskDraft) -> str:
    """Return the digest of the request from when PNG was the default format: keys outlive a new release."""
    return "" if draft.output_format else fingerprint(replace(draft, output_format="png"))


def fingerprint(draft: TaskDraft) -> str:
    """Return a digest of what the caller asked for, the same however its defaults were written."""
    facts = asdict(draft)
    facts["prompt"] = draft.prompt.strip()
    facts["num_images"] = draft.num_images or 1
    facts["aspect_ratio"] = draft.aspect_ratio or ("auto" if draft.operation is Operation.EDIT else "1:1")
    # What was added later and is not asked for leaves the digests of older requests as they were.
    facts |= facts.pop("finish")
    facts["masked"] = draft.masked or None
    facts = {name: value for name, value in facts.items() if value not in (None, "")}
    return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()


def _invalid(problem: str) -> InvalidFieldError:
    return InvalidFieldError([FieldViolation("requestId", problem)])
