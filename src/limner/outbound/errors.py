"""What may go wrong with a request, by whether it may have had an effect: at a provider, whether it may have bought.

    CallError
    ├── UnboughtError                 surely nothing was bought; asking again is safe
    │   ├── UnreachableError          no byte of the request left: no name, no connection, no TLS, no place in the pool
    │   │   └── ForbiddenAddressError the name leads to an address that must not be asked
    │   └── BusyError                 (models/http) the provider did not begin: 429, or a 503 that says so
    ├── OutcomeUnknownError           the request may have been received, and no definite answer came
    │   ├── TotalTimeError            not within the time that it had
    │   ├── UnreadableAnswerError     an answer came, and can't be understood
    │   │   └── AnswerTooLargeError   it is larger than its limit
    │   └── ForeignAddressError       the provider names an address of its API that is not of its API
    └── ResultError                   (models/http) a picture was bought, and can't be had

None reaches a caller: ``outcome.provider_errors`` turns them into those of ``limner.domain.errors``. Their texts are
for the log, and hold no address, key, prompt or vendor's words.
"""


class CallError(Exception):
    """A request that brought nothing of use."""


class UnboughtError(CallError):
    """Surely nothing was bought. ``retry_after_s`` is the provider's hint, in seconds, when it gave one."""

    def __init__(self, message: str, *, retry_after_s: float | None = None, may_retry: bool = True) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s
        self.may_retry = may_retry
        """``False`` when the provider says that asking again is of no use."""


class UnreachableError(UnboughtError):
    """No byte of the request left this machine."""


class ForbiddenAddressError(UnreachableError):
    """The name leads to an address that is not public."""


class OutcomeUnknownError(CallError):
    """The request may have been received. Submitting it again may buy again."""


class TotalTimeError(OutcomeUnknownError):
    """The time for all of a request is over."""


class UnreadableAnswerError(OutcomeUnknownError):
    """An answer came, and can't be understood."""


class AnswerTooLargeError(UnreadableAnswerError):
    """An answer is larger than its limit; the rest of it was dropped."""


class ForeignAddressError(OutcomeUnknownError):
    """An address that should be of the provider's API leads elsewhere; nothing was sent there."""
