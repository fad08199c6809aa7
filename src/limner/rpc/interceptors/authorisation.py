"""Decides who calls and whether they may, before a handler sees the request."""

from typing import Any

from limner.domain.errors import FieldViolation, InvalidFieldError
from limner.rpc.authorisation import accepted_caller, require_member
from limner.rpc.call import Context, current_call, current_caller, header_values
from limner.rpc.interceptors.decoding import Undecodable
from limner.rpc.interceptors.layer import Answer
from limner.rpc.policies import POLICIES, Access
from limner.service.ports import TokenVerifier


class TokenLayer:
    """Checks the access token, before anything of the request's message is received."""

    def __init__(self, verifier: TokenVerifier) -> None:
        self._verifier = verifier

    def around(self, answer: Answer, method: str) -> Answer:
        """Let a call through whose caller is known, or raise why not."""
        access = POLICIES.get(method)

        async def identified(request: Any, context: Context) -> Any:
            authorization = header_values(context, "authorization")
            current_call().caller = await accepted_caller(access, authorization, self._verifier)
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
                require_member(current_caller(), request.workspace_id)
            return await answer(request, context)

        return authorised
