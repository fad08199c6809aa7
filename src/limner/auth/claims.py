"""What a token says about its user."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from limner.domain import limits
from limner.domain.errors import CredentialsInvalidError
from limner.service.caller import Caller, Role


@dataclass(frozen=True, slots=True, kw_only=True)
class ClaimNames:
    """Where in a token the facts about its user stand. Names are of the outermost object, taken literally."""

    user: str = "sub"
    """A string of 1 to ``limits.MAX_IDENTIFIER_CHARS`` printable characters."""
    workspaces: str = "workspaces"
    """An object workspace id → ``member`` or ``admin``, or a list of ids, each a ``member``.

    An entry with an unknown role or an impossible id gives no membership.
    """
    admin: str = "admin"
    """JSON ``true`` for an admin everywhere; any other value counts as false."""


def caller_of(claims: Mapping[str, object], names: ClaimNames) -> Caller:
    """Return the user whom accepted claims speak of, or raise ``CredentialsInvalidError``."""
    user_id = claims.get(names.user)
    if not isinstance(user_id, str) or not is_identifier(user_id):
        raise CredentialsInvalidError(f"The access token does not name its user in {names.user}.")
    workspaces = dict(_memberships(claims.get(names.workspaces), names.workspaces))
    return Caller(user_id=user_id, workspaces=workspaces, admin=claims.get(names.admin) is True)


def is_identifier(text: str) -> bool:
    """Tell whether ``text`` can be the id of a user or workspace: no control character, no lone surrogate."""
    return 0 < len(text) <= limits.MAX_IDENTIFIER_CHARS and text.isprintable() and not text.isspace()


def _memberships(claim: object, name: str) -> Iterator[tuple[str, Role]]:
    if claim is None:
        return
    if isinstance(claim, list):
        claim = {entry: Role.MEMBER for entry in claim if isinstance(entry, str)}
    if not isinstance(claim, dict):
        raise CredentialsInvalidError(f"The access token's {name} is neither an object nor a list.")
    for workspace_id, role in claim.items():
        if is_identifier(workspace_id) and role in tuple(Role):
            yield workspace_id, Role(role)
