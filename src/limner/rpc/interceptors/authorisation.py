"""Decides who calls and whether they may, before a handler sees the request."""

from typing import Any

from limner.domain import limits
from limner.domain.errors import FieldViolation, InvalidFieldError, PermissionDeniedError
from limner.rpc.bearer import bearer_token
from limner.rpc.call import Context, current_call, current_caller, header_values
from limner.rpc.interceptors.decoding import Undecodable
from limner.rpc.interceptors.layer import Answer
from limner.rpc.policies import POLICIES, Access
from limner.service import policy
from limner.service.ports import TokenVerifier


class TokenLayer:
    """Checks the access token, before anything of the request's message is received."""

    def __init__(self, verifier: TokenVerifier) -> None:
        self._verifier = verifier

    def around(self, answer: Answer, method: str) -> Answer:
        """Let a call through whose caller is known, or raise why not."""
        access = POLICIES.get(method)

        async def identified(request: Any, context: Context) -> Any:
            if access is None:
                raise PermissionDeniedError
            if access is not Access.OPEN:
                caller = await self._verifier.verify(bearer_token(header_values(context, "authorization")))
                current_call().caller = caller
                if access is Access.MEMBER:
                    policy.require_membership(caller)
            return await answer(request, context)

        return identified


class MembershipLayer:
    """Checks the membership in the workspace that the request names: the message, so it must have been received."""

    def around(self, answer: Answer, method: str) -> Answer:
        """Let a call through, or raise why not."""
        access = POLICIES.get(method)

        async def authorised(request: Any, context: Context) -> Any:
            if isinstance(request, Undecodable):
                raise InvalidFieldError([FieldViolation("request", "can't be read: it is not a message of its type")])
            if access is Access.MEMBER:
                policy.require_member(current_caller(), request.workspace_id)
                _check_workspace_id(request.workspace_id)
            return await answer(request, context)

        return authorised


def _check_workspace_id(workspace_id: str) -> None:
    """Refuse what no workspace is called, or no path can hold, now that the caller is known to be allowed to ask."""
    right_length = 1 <= len(workspace_id) <= limits.MAX_IDENTIFIER_CHARS
    if not right_length or not workspace_id.isprintable() or "/" in workspace_id or workspace_id in (".", ".."):
        problem = f"must have 1 to {limits.MAX_IDENTIFIER_CHARS} printable characters, no slash among them"
        raise InvalidFieldError([FieldViolation("workspaceId", problem)])
