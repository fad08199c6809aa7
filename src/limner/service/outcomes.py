"""How a generation ends, and what its callers are told: pure rules, judged here and nowhere else.

| why nothing more was made | pictures | state | the key begins anew |
|---|---|---|---|
| it is done, or any error but a cancellation | some | `succeeded`; why others are missing is told | no |
| it is done, or an error | none | `failed`, or `unknown` as the purchase's outcome is | if (1) |
| a cancellation | some or none | `cancelled`, and what was made is kept | if (1) and nobody wanted it |

(1) Surely nothing was bought, and a new try may end better.
"""

from dataclasses import replace
from datetime import datetime
from typing import Final

from limner.domain.errors import (
    ContentRejectedError,
    GenerationCancelledError,
    InterruptedTaskError,
    InvalidFieldError,
    LimnerError,
    Outcome,
    ProviderUnavailableError,
    from_reason,
)
from limner.domain.task import Failure, Generation, GenerationState, MissingPicture

ABANDONED: Final = "abandoned"
"""Metadata of a cancellation: nobody wanted it, its callers went away."""


def ended(generation: Generation, error: LimnerError | None, at: datetime, *, unbought: bool) -> Generation:
    """Return the generation in the final state that goes with the error, or with none.

    ``unbought`` tells that surely nothing was bought: then the same idempotency key may try again.
    """
    if error is None:
        return replace(generation, state=GenerationState.SUCCEEDED, failure=None, updated_at=at)
    state = _state(error)
    failure = Failure(
        reason=error.reason,
        message=error.message,
        metadata=dict(error.metadata),
        outcome=error.outcome,
        repeatable=unbought and state is not GenerationState.UNKNOWN and _may_end_better(error),
    )
    return replace(generation, state=state, failure=failure, updated_at=at)


def left_to_others() -> InterruptedTaskError:
    """Return what callers of a purchase are told that this worker does not see to its end."""
    return InterruptedTaskError(
        "The service stops while this may have been bought already; another worker goes on with it. "
        "Ask GetGeneration for it, or repeat the call with the same idempotency key: without it a call buys anew.",
        outcome=Outcome.UNKNOWN,
    )


def failure_of(generation: Generation) -> LimnerError | None:
    """Return what callers of an ended generation are told in place of images; ``None`` when it has images."""
    failure = generation.failure
    if failure is None:
        return None
    return from_reason(failure.reason, failure.message, failure.metadata, failure.outcome)


def _state(error: LimnerError) -> GenerationState:
    if isinstance(error, GenerationCancelledError):
        return GenerationState.CANCELLED
    match error.outcome:
        case Outcome.UNKNOWN:
            return GenerationState.UNKNOWN
        case Outcome.BOUGHT | Outcome.NOT_BOUGHT | None:
            return GenerationState.FAILED


def _may_end_better(error: LimnerError) -> bool:
    """Tell whether a new try could end otherwise: not what was refused, nor what somebody cancelled on purpose."""
    if isinstance(error, GenerationCancelledError):
        return error.metadata.get(ABANDONED) == "true"
    return not isinstance(error, ContentRejectedError | InvalidFieldError)


def nothing_made(missing: tuple[MissingPicture, ...], *, paid: bool) -> LimnerError:
    """Return the error for a task without a picture: the first picture's own reason."""
    if missing and missing[0].reason == ContentRejectedError.reason:
        return ContentRejectedError(missing[0].message)
    message = missing[0].message if missing else "The model made no picture."
    return ProviderUnavailableError(message, outcome=Outcome.BOUGHT if paid else None)
