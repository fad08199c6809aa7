"""Times requests, for who asks on behalf of a model."""

from time import perf_counter
from types import TracebackType
from typing import Self

from limner.outbound.errors import UnreachableError
from limner.service import tracing
from limner.service.instruments import PROVIDER_REQUEST_DURATION, asked_model


class Exchange:
    """One request and its answer, from the first byte to the last; those that are no model's are not told of."""

    def __init__(self) -> None:
        self.status = 0
        """The http status, once it is there."""
        self._model = asked_model.get()
        self._began = perf_counter()
        self._span = tracing.span("provider.request", {tracing.MODEL: self._model}, kind=tracing.Kind.CLIENT)

    def __enter__(self) -> Self:
        self._current = self._span.__enter__() if self._model else tracing.nothing()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._model:
            self._current.note({"http.response.status_code": self.status, tracing.OUTCOME: self._outcome(error)})
            if error is None and self.status >= 400:
                self._current.fail(str(self.status))
            self._span.__exit__(kind, error, traceback)
            PROVIDER_REQUEST_DURATION.observe(perf_counter() - self._began, self._model, self._outcome(error))

    def _outcome(self, error: BaseException | None) -> str:
        if self.status >= 400:
            return "failed" if self.status >= 500 else "refused"
        if error is None:
            return "ok"
        return "unreachable" if isinstance(error, UnreachableError) else "broken"
