"""What may go wrong with a request to a provider, by what it means for money.

    CallError
    ├── UnboughtError                 surely nothing was bought; asking again is safe
    │   ├── UnreachableError          no byte of the request left: no name, no connection, no TLS, no place in the pool
    │   │   └── ForbiddenAddressError the name leads to an address that must not be asked
    │   └── BusyError                 the provider did not begin: 429, or a 503 that says so
    ├── OutcomeUnknownError           the request may have been received, and no definite answer came
    │   ├── UnreadableAnswerError     an answer came, and can't be understood
    │   │   └── AnswerTooLargeError   it is larger than its limit
    │   └── ForeignAddressError       the provider names an address of its API that is not of its API
    └── ResultError                   a picture was bought, and can't be had

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


class BusyError(UnboughtError):
    """The provider did not begin."""

    def __init__(
        self, message: str, *, status: int, retry_after_s: float | None = None, may_retry: bool = True
    ) -> None:
        super().__init__(message, retry_after_s=retry_after_s, may_retry=may_retry)
        self.status = status
        """429, or 503 (or another) that says that nothing was begun."""


class OutcomeUnknownError(CallError):
    """The request may have been received. Submitting it again may buy again."""


class UnreadableAnswerError(OutcomeUnknownError):
    """An answer came, and can't be understood."""


class AnswerTooLargeError(UnreadableAnswerError):
    """An answer is larger than its limit; the rest of it was dropped."""


class ForeignAddressError(OutcomeUnknownError):
    """An address that should be of the provider's API leads elsewhere; nothing was sent there."""


class ResultError(CallError):
    """A picture was bought, and can't be had from where the provider says that it is."""

    def __init__(self, message: str, *, host: str = "", setting: str = "") -> None:
        super().__init__(message)
        self.host = host
        """Where it is said to be, for the operator."""
        self.setting = setting
        """What the operator may write into the catalogue, so that the next one can be had."""
