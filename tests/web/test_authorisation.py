"""Who gets through which door: every route of the gateway to the workers' HTTP, tried without the right to it."""

import re

import httpx
import pytest

from limner.gateway.web_routes import WEB_ROUTES, WebRoute
from limner.service.caller import Role
from tests.service import Service

MEMBERS = [route for route in WEB_ROUTES if "{workspaceId}" in route.path]
PREFIXES = ("/v1/", "/api/image-service/v1/")


def asked(service: Service, route: WebRoute, prefix: str, token: str) -> httpx.Response:
    path = route.path.replace("/v1/", prefix, 1).replace("{workspaceId}", "acme")
    url = f"http://{service.http_address}{re.sub(r'{[^}]*}', '0' * 32, path)}"
    headers = {"authorization": f"Bearer {token}"} if token else {}
    return httpx.request(route.method, url, headers=headers, timeout=30)


@pytest.mark.parametrize("prefix", PREFIXES)
@pytest.mark.parametrize("route", MEMBERS, ids=lambda route: f"{route.method} {route.path}")
def test_a_route_of_a_workspace_is_for_its_members(service: Service, route: WebRoute, prefix: str) -> None:
    strangers = service.token("eve", workspaces={"elsewhere": Role.ADMIN})
    expired = service.token("ada", workspaces={"acme": Role.MEMBER}) + "x"

    statuses = [asked(service, route, prefix, token).status_code for token in ("", "nonsense", expired, strangers)]

    assert statuses == [401, 401, 401, 403]


@pytest.mark.parametrize("route", MEMBERS, ids=lambda route: f"{route.method} {route.path}")
def test_who_may_not_ask_learns_nothing_of_the_service(service: Service, route: WebRoute) -> None:
    answer = asked(service, route, "/v1/", "")

    assert answer.headers["x-request-id"]
    assert answer.headers["server"] == "limner"
    assert "aiohttp" not in answer.text
    assert "Traceback" not in answer.text


@pytest.mark.parametrize("route", WEB_ROUTES, ids=lambda route: f"{route.method} {route.path}")
@pytest.mark.parametrize("query", ["%FF", "a=%00&a=%00", "=&=&=", "width=%F0%9F%A6%8A", "x" * 7_000])
def test_no_query_is_the_services_fault(service: Service, route: WebRoute, query: str) -> None:
    path = re.sub(r"{[^}]*}", "%F0%9F%A6%8A", route.path.replace("{workspaceId}", "acme"))
    headers = {"authorization": f"Bearer {service.token('ada', workspaces={'acme': Role.MEMBER})}"}

    answer = httpx.request(route.method, f"http://{service.http_address}{path}?{query}", headers=headers, timeout=30)

    assert answer.status_code < 500, answer.text
