"""Who calls, and what they may do."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum


class Role(StrEnum):
    """What a user is in one workspace."""

    MEMBER = "member"
    ADMIN = "admin"


@dataclass(frozen=True, slots=True, kw_only=True)
class Caller:
    """A user whose access token was accepted."""

    user_id: str
    workspaces: Mapping[str, Role] = field(default_factory=dict)
    admin: bool = False
    """An admin everywhere."""

    def is_member(self, workspace_id: str) -> bool:
        """Tell whether the caller may read, list and create in the workspace."""
        return self.admin or workspace_id in self.workspaces

    def is_admin(self, workspace_id: str) -> bool:
        """Tell whether the caller may delete what others made in the workspace."""
        return self.admin or self.workspaces.get(workspace_id) is Role.ADMIN
