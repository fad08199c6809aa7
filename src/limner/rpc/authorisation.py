"""Who calls, and whether they may: by the table of policies, alike for gRPC and every other door."""

from collections.abc import Sequence

from limner.domain import limits
from limner.domain.errors import FieldViolation, InvalidFieldError, PermissionDeniedError
from limner.rpc.bearer import bearer_token
from limner.rpc.policies import Access
from limner.service import policy
from limner.service.caller import Caller
from limner.service.ports import TokenVerifier


async def accepted_caller(
    access: Access | None, authorization: Sequence[str], verifier: TokenVerifier
) -> Caller | None:
    """Return who calls, given all ``authorization`` values of the call; ``None`` for a call that needs no token.

    Raises ``PermissionDeniedError`` for a call without a policy, and what the token's check raises.
    """
    if access is None:
        raise PermissionDeniedError
    if access is Access.OPEN:
        return None
    caller = await verifier.verify(bearer_token(authorization))
    if access is Access.MEMBER:
        policy.require_membership(caller)
    return caller


def require_member(caller: Caller, workspace_id: str) -> None:
    """Raise ``PermissionDeniedError`` unless the caller belongs to the workspace.

    Raises ``InvalidFieldError`` for what no workspace is called, or no path can hold: for those alone who may ask.
    """
    policy.require_member(caller, workspace_id)
    right_length = 1 <= len(workspace_id) <= limits.MAX_IDENTIFIER_CHARS
    if not right_length or not workspace_id.isprintable() or "/" in workspace_id or workspace_id in (".", ".."):
        problem = f"must have 1 to {limits.MAX_IDENTIFIER_CHARS} printable characters, no slash among them"
        raise InvalidFieldError([FieldViolation("workspaceId", problem)])
