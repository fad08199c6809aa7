"""What the OpenAPI description says, and whether the service answers anything that it does not say."""

import json
from collections.abc import Iterator
from importlib import resources
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, settings
from openapi_spec_validator import OpenAPIV31SpecValidator
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from tests.pictures import png
from tests.rest.test_service_seed import uploaded
from tests.service import Service
from tests.tenant import Tenant, tenant_of

DOCUMENT: dict[str, Any] = json.loads(resources.files("imageservice").joinpath("openapi.json").read_text())
CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
]
described = schemathesis.openapi.from_dict(DOCUMENT)


@schemathesis.serializer("image/png", "image/jpeg", "image/webp")
def as_it_is(context: Any, value: Any) -> bytes:
    """Send what was drawn as a picture."""
    return value if isinstance(value, bytes) else json.dumps(value, default=repr).encode()


class Subject:
    """An admin, who gets past every membership, and the ids of what exists."""

    def __init__(self, tenant: Tenant) -> None:
        self.origin = tenant.url("")
        client = tenant.rest("root", admin=True)
        self.headers = dict(client.headers)
        self.ids = {"workspaceId": tenant.id, "imageId": uploaded(client, png())["id"]}
        self.ids["generationId"] = client.post("/image-generation-tasks", json={"prompt": "a fox"}).json()[
            "generationId"
        ]


@pytest.fixture(scope="module")
def subject(service: Service) -> Iterator[Subject]:
    with tenant_of(service) as tenant:
        yield Subject(tenant)


def test_the_description_is_valid() -> None:
    OpenAPIV31SpecValidator(DOCUMENT).validate()


@described.parametrize()
@settings(
    max_examples=20,
    derandomize=True,
    database=None,
    deadline=None,
    phases=[Phase.explicit, Phase.generate],
    suppress_health_check=list(HealthCheck),
)
def test_nothing_is_answered_that_is_not_described(case: schemathesis.Case[Any], subject: Subject) -> None:
    for name, drawn in (case.path_parameters or {}).items():
        # Half of what is drawn gives way to what exists, so that more is answered than "no such image".
        if name in subject.ids and len(str(drawn)) % 2:
            case.path_parameters[name] = subject.ids[name]

    case.call_and_validate(base_url=subject.origin, headers=subject.headers, checks=CHECKS)
