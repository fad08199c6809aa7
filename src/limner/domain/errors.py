"""The errors that callers may see, as facts; the transport maps them in ``rpc/status.py``, once.

    LimnerError
    ├── InvalidFieldError          a request has wrong fields; all of them at once
    ├── ContentRejectedError       the provider refuses the prompt or a picture
    ├── CredentialsMissingError    no access token
    ├── CredentialsInvalidError    an access token that is not accepted
    ├── PermissionDeniedError      not a member, or not the owner
    ├── ImageNotFoundError         no such image in this workspace
    ├── GenerationNotFoundError    no such generation in this workspace
    ├── GenerationCancelledError   somebody cancelled the generation that was waited for
    ├── IdempotencyKeyReusedError  the key was used for another request
    ├── QuotaExceededError         the month's images or money are used up
    ├── OverloadedError            too much in flight; try again later
    ├── ProviderUnavailableError   the model is down or answers nonsense
    ├── StorageUnavailableError    the blob store is down
    ├── DatabaseUnavailableError   the database is down
    ├── ProviderMisconfiguredError the provider rejects our credentials, or they are missing
    ├── InterruptedTaskError       the service stops, or stopped, before the task was done
    └── InternalError              a bug

Messages are written for callers: nothing internal, no prompt, no key.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import ClassVar, Final, Self


@dataclass(frozen=True, slots=True)
class FieldViolation:
    """One wrong field, by its JSON name, and what is wrong with it."""

    field: str
    description: str


class Outcome(StrEnum):
    """What became of a purchase that ended in an error."""

    NOT_BOUGHT = "not_bought"
    """Surely nothing was bought: it may be asked for again, or elsewhere."""
    BOUGHT = "bought"
    """It was paid for, and there is no picture to show."""
    UNKNOWN = "unknown"
    """Nobody knows: it is never bought again."""


class LimnerError(Exception):
    """A fact that a caller is told. ``reason`` is a value of ``ErrorReason`` in the contract."""

    reason: ClassVar[str]
    default_message: ClassVar[str] = ""

    def __init__(
        self,
        message: str = "",
        *,
        metadata: Mapping[str, str] | None = None,
        outcome: Outcome | None = None,
        retry_after_s: float | None = None,
    ) -> None:
        super().__init__(message or self.default_message)
        self.metadata: Mapping[str, str] = metadata or {}
        self.outcome = outcome
        """What became of the purchase, where there was one and somebody can say."""
        self.retry_after_s = retry_after_s
        """When to try again, in seconds, when that is known."""

    @property
    def message(self) -> str:
        """What the caller reads."""
        return str(self)

    def again(self) -> Self:
        """Return the same fact, to be raised once more.

        One that is kept and raised would gather the frames, and so the requests, of all who were told it.
        """
        error = type(self).__new__(type(self))
        error.args = self.args
        error.__dict__.update(self.__dict__)
        return error


class InvalidFieldError(LimnerError):
    """A request has wrong fields; ``violations`` holds all of them."""

    reason = "INVALID_FIELD"

    def __init__(self, violations: Iterable[FieldViolation], *, outcome: Outcome | None = None) -> None:
        self.violations = tuple(violations)
        text = "; ".join(f"{each.field}: {each.description}" for each in self.violations)
        super().__init__(text, outcome=outcome)


class ContentRejectedError(LimnerError):
    """The provider refuses the prompt or a picture. Asking again does not help."""

    reason = "CONTENT_REJECTED"
    default_message = "The provider refuses this prompt or picture."


class CredentialsMissingError(LimnerError):
    """The call carries no access token."""

    reason = "CREDENTIALS_MISSING"
    default_message = "This call needs an access token: authorization: Bearer <token>."


class CredentialsInvalidError(LimnerError):
    """The call carries an access token that is not accepted."""

    reason = "CREDENTIALS_INVALID"
    default_message = "The access token is not accepted."


class PermissionDeniedError(LimnerError):
    """The caller may not do this."""

    reason = "PERMISSION_DENIED"
    default_message = "You may not do this."


class ImageNotFoundError(LimnerError):
    """No such image in this workspace."""

    reason = "IMAGE_NOT_FOUND"
    default_message = "There is no such image in this workspace."


class GenerationNotFoundError(LimnerError):
    """No such generation in this workspace."""

    reason = "GENERATION_NOT_FOUND"
    default_message = "There is no such generation in this workspace."


class GenerationCancelledError(LimnerError):
    """The generation was cancelled before it ended."""

    reason = "GENERATION_CANCELLED"
    default_message = "The generation was cancelled."


class IdempotencyKeyReusedError(LimnerError):
    """The idempotency key was used for another request."""

    reason = "IDEMPOTENCY_KEY_REUSED"
    default_message = "This idempotency key was used for another request."


class QuotaExceededError(LimnerError):
    """The workspace has used up its images or its money of the month. Nothing was done."""

    reason = "QUOTA_EXCEEDED"
    default_message = "The quota of this month is used up."


class OverloadedError(LimnerError):
    """Too much is in flight. Nothing was done; ``retry_after_s`` says when to try again."""

    reason = "OVERLOADED"
    default_message = "Too much is in flight. Try again later."

    def __init__(
        self, message: str = "", *, metadata: Mapping[str, str] | None = None, retry_after_s: float = 1.0
    ) -> None:
        super().__init__(message, metadata=metadata, retry_after_s=retry_after_s)


class ProviderUnavailableError(LimnerError):
    """The model is down, too slow, or answers nonsense.

    Its ``outcome`` says what became of the purchase.
    """

    reason = "PROVIDER_UNAVAILABLE"
    default_message = "The model is not available now."


class StorageUnavailableError(LimnerError):
    """The blob store is down or full."""

    reason = "STORAGE_UNAVAILABLE"
    default_message = "The storage is not available now."


class DatabaseUnavailableError(LimnerError):
    """The database is down or does not answer in time."""

    reason = "DATABASE_UNAVAILABLE"
    default_message = "The database is not available now."
    may_be_kept = False
    """Whether what was written may be kept all the same: it broke during the commit."""


class ProviderMisconfiguredError(LimnerError):
    """The operator's credentials for the provider are missing, refused or out of credit."""

    reason = "PROVIDER_MISCONFIGURED"
    default_message = "The model is not set up correctly. Tell the operator."


class InterruptedTaskError(LimnerError):
    """The service stops, or stopped, before the task was done."""

    reason = "INTERRUPTED"
    default_message = "The service stopped before this was done. Try again."


class InternalError(LimnerError):
    """A bug. The caller learns the request's id, the log has the rest."""

    reason = "INTERNAL"
    default_message = "Something went wrong inside the service."


_OUTCOME_KEY: Final = "outcome"


def printed(metadata: Mapping[str, str], outcome: Outcome | None) -> dict[str, str]:
    """Return the metadata as callers read them and as they are kept: with the outcome."""
    return {**metadata, _OUTCOME_KEY: outcome.value} if outcome else dict(metadata)


def parsed(metadata: Mapping[str, str]) -> tuple[dict[str, str], Outcome | None]:
    """Return what ``printed`` was given."""
    rest = dict(metadata)
    outcome = rest.pop(_OUTCOME_KEY, None)
    return rest, Outcome(outcome) if outcome else None


def leaves(root: type[LimnerError] = LimnerError) -> Iterable[type[LimnerError]]:
    """Yield every error that can be raised."""
    for child in root.__subclasses__():
        yield child
        yield from leaves(child)


def _violations(message: str) -> Iterable[FieldViolation]:
    """Yield the violations that were joined to a message; what names no field goes on with the one before it."""
    found: list[FieldViolation] = []
    for part in message.split("; "):
        field, colon, description = part.partition(": ")
        if colon and field.replace(".", "").isalnum():
            found.append(FieldViolation(field, description))
        elif found:
            found[-1] = FieldViolation(found[-1].field, f"{found[-1].description}; {part}")
    return found


def from_reason(reason: str, message: str, metadata: Mapping[str, str], outcome: Outcome | None = None) -> LimnerError:
    """Return the error that was kept as its reason; it says the same, but for retry hints."""
    if reason == InvalidFieldError.reason:
        error: LimnerError = InvalidFieldError(_violations(message))
        error.args = (message,)
    else:
        kinds = {kind.reason: kind for kind in leaves()}
        error = kinds.get(reason, InternalError)(message)
    error.metadata = metadata
    error.outcome = outcome
    return error
