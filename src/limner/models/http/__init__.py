"""The ground that adapters of hosted providers stand on: one http client, and what its failures mean for money.

``client``    one pooled client for the whole process: separate time limits, size limits, never a retry or redirect
``api``       a provider's API: credentials go to its own origin and nowhere else
``body``      request bodies: JSON with pictures in it, multipart forms, plain bytes; encoded slice by slice
``budget``    how much memory answers may take, of all requests together
``answer``    what comes back: a response, or one event of a stream; long base64 is decoded while it arrives
``errors``    the tree of what goes wrong with a request
``outcome``   whether anything was bought: surely not, a definite answer, or nobody knows
``retry``     when to ask again, from all the forms of hint; and asking again when surely nothing was bought
``results``   the guarded fetch of addresses that a provider names; ``addresses`` says which may be asked
``breaker``   stops asking a provider that is down, and probes whether it is back
"""

from limner.models.http.addresses import ResultAddresses, base_address
from limner.models.http.answer import Response, ServerEvent, picture_bytes
from limner.models.http.api import ProviderApi
from limner.models.http.body import Base64, Body, DataUri, Part, Source, bytes_body, json_body, multipart_body
from limner.models.http.breaker import Breakers, BreakerSnapshot, BreakerState, CircuitBreaker
from limner.models.http.budget import ByteBudget, Share
from limner.models.http.client import HttpClient, Stream, Timeouts
from limner.models.http.errors import (
    AnswerTooLargeError,
    BusyError,
    CallError,
    ForbiddenAddressError,
    ForeignAddressError,
    OutcomeUnknownError,
    ResultError,
    UnboughtError,
    UnreachableError,
    UnreadableAnswerError,
)
from limner.models.http.outcome import (
    BOUGHT,
    NOT_BOUGHT,
    OUTCOME,
    UNKNOWN,
    Verdict,
    bought_nothing,
    definite,
    gravest,
    provider_errors,
    surely_unbought,
    told,
    verdict,
)
from limner.models.http.resolver import PublicResolver
from limner.models.http.results import ResultFetcher
from limner.models.http.retry import RetryHint, RetryPolicy, retry_hint, retry_surely_unbought

__all__ = [
    "BOUGHT",
    "NOT_BOUGHT",
    "OUTCOME",
    "UNKNOWN",
    "AnswerTooLargeError",
    "Base64",
    "Body",
    "BreakerSnapshot",
    "BreakerState",
    "Breakers",
    "BusyError",
    "ByteBudget",
    "CallError",
    "CircuitBreaker",
    "DataUri",
    "ForbiddenAddressError",
    "ForeignAddressError",
    "HttpClient",
    "OutcomeUnknownError",
    "Part",
    "ProviderApi",
    "PublicResolver",
    "Response",
    "ResultAddresses",
    "ResultError",
    "ResultFetcher",
    "RetryHint",
    "RetryPolicy",
    "ServerEvent",
    "Share",
    "Source",
    "Stream",
    "Timeouts",
    "UnboughtError",
    "UnreachableError",
    "UnreadableAnswerError",
    "Verdict",
    "base_address",
    "bought_nothing",
    "bytes_body",
    "definite",
    "gravest",
    "json_body",
    "multipart_body",
    "picture_bytes",
    "provider_errors",
    "retry_hint",
    "retry_surely_unbought",
    "surely_unbought",
    "told",
    "verdict",
]
