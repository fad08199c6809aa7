"""Who may do what. The transport asks ``require_member`` before anything is looked up."""

from limner.domain.errors import PermissionDeniedError
from limner.domain.image import Image
from limner.domain.task import Generation
from limner.service.caller import Caller


def require_member(caller: Caller, workspace_id: str) -> None:
    """Raise ``PermissionDeniedError`` unless the caller may read, list and create in the workspace."""
    if not caller.is_member(workspace_id):
        raise PermissionDeniedError("You are not a member of this workspace.")


def require_membership(caller: Caller) -> None:
    """Raise ``PermissionDeniedError`` for who is a member of no workspace at all: whichever it will be."""
    if not caller.admin and not caller.workspaces:
        raise PermissionDeniedError("You are not a member of this workspace.")


def require_creator(caller: Caller, image: Image) -> None:
    """Raise ``PermissionDeniedError`` unless the caller made the image. Being an admin does not help."""
    if image.created_by_user_id != caller.user_id:
        raise PermissionDeniedError("You can only edit and upscale images that you created.")


def require_creator_or_admin(caller: Caller, made: Image | Generation) -> None:
    """Raise ``PermissionDeniedError`` unless the caller made it or is an admin of its workspace."""
    if made.created_by_user_id != caller.user_id and not caller.is_admin(made.workspace_id):
        raise PermissionDeniedError("Only its creator or an admin may do this.")
