"""Refuses requests that the gateway found wrong, once the caller is known to be allowed to ask."""

from typing import Any, Final

from limner.rpc.call import Context
from limner.rpc.interceptors.layer import Answer
from limner.rpc.violations import Violations, found_by_gateway

_SERVICE: Final = "/imageservice.v1.ImageService"

ADDING: Final = frozenset(
    f"{_SERVICE}/{call}" for call in ("GenerateImages", "EditImages", "UpscaleImage", "RunTask", "ListImages")
)
"""Calls whose handlers refuse by themselves, since they add what else is wrong."""


class RefusalLayer:
    """Lets nothing through that the gateway found wrong, but to handlers that add to it."""

    def around(self, answer: Answer, method: str) -> Answer:
        """Let a call through, or raise what is wrong with it."""
        if method in ADDING:
            return answer

        async def unless_wrong(request: Any, context: Context) -> Any:
            Violations(found_by_gateway(context)).refuse()
            return await answer(request, context)

        return unless_wrong
