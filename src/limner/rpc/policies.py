"""Who may make which call, decided before anything is looked up. A call that is not here is refused.

Calls go by their full names. What stands for no call, such as a page, has a name of its own, without a slash.
"""

from collections.abc import Mapping
from enum import Enum
from typing import Final


class Access(Enum):
    """What a call asks of its caller. What a resource asks is in ``service/policy.py``."""

    OPEN = "no token is needed"
    TOKEN = "any accepted token"  # noqa: S105
    MEMBER = "a member of the workspace that the request names"


_SERVICE: Final = "/imageservice.v1.ImageService"

POLICIES: Final[Mapping[str, Access]] = {
    f"{_SERVICE}/GenerateImages": Access.MEMBER,
    f"{_SERVICE}/EditImages": Access.MEMBER,
    f"{_SERVICE}/UpscaleImage": Access.MEMBER,
    f"{_SERVICE}/RunTask": Access.MEMBER,
    f"{_SERVICE}/GetGeneration": Access.MEMBER,
    f"{_SERVICE}/CancelGeneration": Access.MEMBER,
    f"{_SERVICE}/UploadImage": Access.MEMBER,
    f"{_SERVICE}/GetImage": Access.MEMBER,
    f"{_SERVICE}/ListImages": Access.MEMBER,
    f"{_SERVICE}/DeleteImage": Access.MEMBER,
    f"{_SERVICE}/GetImageContent": Access.MEMBER,
    f"{_SERVICE}/GetProvenance": Access.MEMBER,
    f"{_SERVICE}/VerifyImage": Access.MEMBER,
    f"{_SERVICE}/SignContentUrl": Access.MEMBER,
    f"{_SERVICE}/ListModels": Access.TOKEN,
    f"{_SERVICE}/GetUsage": Access.MEMBER,
    "/grpc.health.v1.Health/Check": Access.OPEN,
    "/grpc.health.v1.Health/Watch": Access.OPEN,
    "/grpc.health.v1.Health/List": Access.OPEN,
    "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo": Access.OPEN,
    "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo": Access.OPEN,
    "probes": Access.OPEN,
    "reference": Access.OPEN,
    "console": Access.OPEN,  # the page alone: what it shows it asks for with its user's token
    "openai.models": Access.MEMBER,
    "signed-content": Access.OPEN,  # its address is signed, which is looked at before anything else
    "mcp": Access.MEMBER,
}
