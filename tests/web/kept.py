"""A picture in the service, and its owner."""

import hashlib

import httpx

from tests.tenant import Tenant


class Kept:
    """A picture that Ada uploaded. ``path`` leads to its content, below the workspace."""

    def __init__(self, tenant: Tenant, data: bytes) -> None:
        self.data = data
        self.tenant = tenant
        self.ada = tenant.rest()
        answer = self.ada.post("/images", content=data, headers={"content-type": "image/png"})
        assert answer.status_code == 200, answer.text
        self.image = answer.json()
        self.path = f"/images/{self.image['id']}/content"

    def get(self, **headers: str) -> httpx.Response:
        return self.ada.get(self.path, headers={name.replace("_", "-"): value for name, value in headers.items()})

    @property
    def etag(self) -> str:
        return f'"{hashlib.sha256(self.data).hexdigest()}"'
