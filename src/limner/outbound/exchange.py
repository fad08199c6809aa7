"""Times requests, for who asks on behalf of a model."""

from time import perf_counter
from types import TracebackType
from typing import Self

from limner.outbound.errors import UnreachableError
from limner.service.instruments import PROVIDER_REQUEST_DURATION, asked_model


class Exchange:
    """One request and its answer, from the first byte to the last; those that are no model's are not told of."""

    def __init__(self) -> None:
        self.status = 0
        """The http status, once it is there."""
        self._model = asked_model.get()
        self._began = perf_counter()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._model:
            PROVIDER_REQUEST_DURATION.observe(perf_counter() - self._began, self._model, self._outcome(error))

    def _outcome(self, error: BaseException | None) -> str:
        if self.status >= 400:
            return "failed" if self.status >= 500 else "refused"
        if error is None:
            return "ok"
        return "unreachable" if isinstance(error, UnreachableError) else "broken"
