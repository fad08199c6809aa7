"""The gateway leads to each address of each door, and to no other."""

import re

import pytest

from limner.app import Worker
from limner.gateway.routes import path_pattern
from limner.gateway.web_routes import WEB_ROUTES
from limner.rpc.policies import POLICIES, Access
from limner.settings import Settings
from limner.web.door import Route

OPEN = {"probes", "reference", "console", "signed-content"}
"""What is open without a token, beside gRPC's health and reflection."""


@pytest.fixture
async def routes(tmp_path_factory: pytest.TempPathFactory) -> list[Route]:
    worker = Worker(Settings(data_dir=tmp_path_factory.mktemp("worker")))
    return [route for door in worker.doors for route in door.routes]


async def test_the_gateway_knows_the_routes_of_the_doors(routes: list[Route]) -> None:
    assert {(route.method, route.path) for route in routes} == {(route.method, route.path) for route in WEB_ROUTES}


async def test_every_route_has_a_policy(routes: list[Route]) -> None:
    assert [route.path for route in routes if route.policy not in POLICIES] == []


async def test_a_route_that_names_a_workspace_asks_for_membership(routes: list[Route]) -> None:
    for route in routes:
        names_workspace = "{workspaceId}" in route.path
        assert (POLICIES[route.policy] is Access.MEMBER) == names_workspace, route.path


def test_only_what_is_named_here_is_open() -> None:
    assert {name for name, access in POLICIES.items() if "/" not in name and access is Access.OPEN} == OPEN


def test_a_pattern_takes_one_part_of_a_path_for_each_parameter() -> None:
    pattern = path_pattern("/v1/workspaces/{workspaceId}/things:do")

    assert re.fullmatch(pattern, "/v1/workspaces/acme/things:do")
    assert re.fullmatch(pattern, "/api/image-service/v1/workspaces/acme/things:do")
    assert not re.fullmatch(pattern, "/v1/workspaces/acme/more/things:do")
