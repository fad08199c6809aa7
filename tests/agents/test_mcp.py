"""The tools, by the SDK's own client, over standard input and output and over HTTP, of both of its eras."""

import asyncio
import base64
import io
import os
import sys
import time
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any

import httpx
import httpx2
import pytest
from mcp import Client, StdioServerParameters
from mcp.client.streamable_http import streamable_http_client
from mcp.types import CallToolResult, ImageContent, ResourceLink, TextContent
from PIL import Image

from limner.domain.limits import KIB
from tests.pictures import png
from tests.rest.test_service_seed import uploaded
from tests.tenant import Tenant

UPSCALER = "realesr-animevideo"
Connect = Callable[..., AbstractAsyncContextManager[Client]]


def token_of(tenant: Tenant, user: str = "ada") -> str:
    return tenant.metadata(user)[0][1].removeprefix("Bearer ")


@asynccontextmanager
async def by_stdio(tenant: Tenant, mode: Any = "auto", user: str = "ada") -> AsyncIterator[Client]:
    environment = {
        "PATH": os.environ["PATH"],
        "LIMNER_SERVER": tenant.service.grpc_address,
        "LIMNER_TOKEN": token_of(tenant, user),
        "LIMNER_WORKSPACE": tenant.id,
    }
    command = StdioServerParameters(command=sys.executable, args=["-m", "limner", "mcp"], env=environment)
    async with Client(command, mode=mode) as client:
        yield client


@asynccontextmanager
async def by_http(tenant: Tenant, mode: Any = "auto", user: str = "ada") -> AsyncIterator[Client]:
    headers = {"authorization": f"Bearer {token_of(tenant, user)}"}
    url = tenant.url(f"/v1/workspaces/{tenant.id}/mcp")
    async with (
        httpx2.AsyncClient(headers=headers, timeout=60) as transport,
        Client(streamable_http_client(url, http_client=transport), mode=mode) as client,
    ):
        yield client


@pytest.fixture(params=[(by_stdio, "auto"), (by_http, "auto"), (by_http, "legacy")], ids=["stdio", "http", "http-2025"])
def connect(request: pytest.FixtureRequest, tenant: Tenant) -> Connect:
    kind, mode = request.param
    return lambda user="ada": kind(tenant, mode, user)


def words(result: CallToolResult) -> str:
    (first, *_) = result.content
    assert isinstance(first, TextContent)
    return first.text


def pictures(result: CallToolResult) -> list[tuple[Image.Image, int]]:
    """The pictures of a result, and how many bytes each has."""
    shown = [each for each in result.content if isinstance(each, ImageContent)]
    datas = [base64.b64decode(each.data) for each in shown]
    return [(Image.open(io.BytesIO(data)), len(data)) for data in datas]


def links(result: CallToolResult) -> list[ResourceLink]:
    return [each for each in result.content if isinstance(each, ResourceLink)]


async def test_schemas_say_what_the_models_can(connect: Connect) -> None:
    async with connect() as client:
        tools = {tool.name: tool.input_schema for tool in (await client.list_tools()).tools}

    assert set(tools) == {
        "generate_image",
        "edit_image",
        "upscale_image",
        "list_images",
        "get_image",
        "list_models",
    }
    generate, edit, upscale = (tools[f"{each}_image"]["properties"] for each in ("generate", "edit", "upscale"))
    assert generate["model"] == {"type": "string", "enum": ["sketch"], "default": "sketch"}
    assert "16:9" in generate["aspect_ratio"]["enum"]
    assert "auto" not in generate["aspect_ratio"]["enum"]
    assert "auto" in edit["aspect_ratio"]["enum"]
    assert set(upscale["model"]["enum"]) == {"realesrgan-x4plus", "realesr-animevideo"}
    assert upscale["factor"]["enum"] == [2, 3, 4]


async def test_pictures_come_small_with_a_link_to_the_large_ones(connect: Connect, tenant: Tenant) -> None:
    async with connect() as client:
        result = await client.call_tool("generate_image", {"prompt": "a red fox", "num_images": 2})

    assert not result.is_error
    images = result.structured_content["images"]
    assert [image["prompt"] for image in images] == ["a red fox", "a red fox"]
    assert [image["id"] for image in images] == [line.split()[0] for line in words(result).splitlines()[:2]]
    for picture, size in pictures(result):
        assert max(picture.size) <= 1024
        assert size <= 512 * KIB
    assert len(pictures(result)) == 2
    for link, image in zip(links(result), images, strict=True):
        assert str(link.uri).endswith(image["_links"]["content"])
        assert link.size == image["imageSize"]
        if str(link.uri).startswith("http"):
            headers = dict(tenant.metadata())
            content = await asyncio.to_thread(httpx.get, str(link.uri), headers=headers)
            assert len(content.content) == image["imageSize"]


async def test_an_edit_and_an_upscale_start_from_what_there_is(connect: Connect, tenant: Tenant) -> None:
    source = uploaded(tenant.rest(), png(40, 30))["id"]
    async with connect() as client:
        edited = await client.call_tool("edit_image", {"image_ids": [source], "prompt": "black and white"})
        made = edited.structured_content["images"][0]
        scaled = await client.call_tool(
            "upscale_image", {"image_id": made["id"], "model": "realesr-animevideo", "factor": 2}
        )

    assert made["inputImageIds"] == [source]
    assert scaled.structured_content["images"][0]["imageWidth"] == 80


async def test_what_was_made_is_listed_and_shown(connect: Connect) -> None:
    async with connect() as client:
        for prompt in ("a fox", "a dog", "a cat"):
            await client.call_tool("generate_image", {"prompt": prompt})
        page = await client.call_tool("list_images", {"limit": 2})
        rest = await client.call_tool("list_images", {"page_token": page.structured_content["next_page_token"]})
        shown = await client.call_tool("get_image", {"image_id": rest.structured_content["images"][0]["id"]})
        models = await client.call_tool("list_models")

    listed = page.structured_content["images"] + rest.structured_content["images"]
    assert [image["prompt"] for image in listed] == ["a cat", "a dog", "a fox"]
    assert (shown.structured_content["prompt"], len(pictures(shown)), len(links(shown))) == ("a fox", 1, 1)
    assert "sketch" in [model["id"] for model in models.structured_content["models"]]


async def test_a_key_gives_the_same_images(connect: Connect) -> None:
    async with connect() as client:
        arguments = {"prompt": "a fox", "idempotency_key": "once"}
        first, again = [await client.call_tool("generate_image", arguments) for _ in range(2)]

    assert first.structured_content["generationId"] == again.structured_content["generationId"]


@pytest.mark.parametrize(
    ("tool", "arguments", "told"),
    [
        ("generate_image", {"prompt": ""}, "prompt"),
        ("generate_image", {"prompt": "a fox", "aspect_ratio": "7:1"}, "aspectRatio"),
        ("generate_image", {"prompt": "a fox", "num_images": "many"}, "num"),
        ("generate_image", {"prompt": "a fox", "colour": "red"}, "colour"),
        ("generate_image", {"prompt": "a fox", "workspace_id": "other"}, "workspace"),
        ("get_image", {"image_id": "0" * 32}, "IMAGE_NOT_FOUND"),
        ("list_images", {"all": True}, "all"),
        ("list_images", {"page_token": "x"}, "pageToken"),
        ("draw", {}, "draw"),
    ],
)
async def test_what_is_wrong_is_told_to_the_agent(
    tenant: Tenant, tool: str, arguments: dict[str, Any], told: str
) -> None:
    async with by_http(tenant) as client:
        result = await client.call_tool(tool, arguments)

    assert result.is_error
    assert told in words(result)
    assert result.structured_content["reason"]


async def test_somebody_elses_image_is_not_edited(connect: Connect, tenant: Tenant) -> None:
    source = uploaded(tenant.rest("bob"), png())["id"]
    async with connect() as client:
        result = await client.call_tool("edit_image", {"image_ids": [source], "prompt": "warmer"})

    assert result.structured_content["reason"] == "PERMISSION_DENIED"


async def test_progress_is_told(connect: Connect, tenant: Tenant) -> None:
    source = uploaded(tenant.rest(), png(300, 300))["id"]
    told: list[float] = []

    async def on_progress(progress: float, total: float | None, message: str | None) -> None:
        told.append(progress)

    async with connect() as client:
        arguments = {"image_id": source, "model": "realesr-animevideo", "factor": 2}
        await client.call_tool("upscale_image", arguments, progress_callback=on_progress)

    assert told == sorted(told)
    assert told


def reserved(tenant: Tenant) -> int:
    """How many images running generations may still make."""
    return int(tenant.rest().get("/usage").json()["images"]["reserved"])


async def test_who_cancels_stops_the_model(tenant: Tenant, connect: Connect, request: pytest.FixtureRequest) -> None:
    if "http-2025" in request.node.name:
        pytest.skip("sessions of 2025 cancel by a request of its own, which may reach another worker")
    source = uploaded(tenant.rest(), png(2000, 2000))["id"]
    begun = asyncio.Event()

    async def on_progress(progress: float, total: float | None, message: str | None) -> None:
        begun.set()

    async with connect() as client:
        arguments = {"image_id": source, "model": UPSCALER, "factor": 2}
        call = asyncio.create_task(client.call_tool("upscale_image", arguments, progress_callback=on_progress))
        await asyncio.wait_for(begun.wait(), 60)
        assert reserved(tenant) == 1
        call.cancel()
        end = time.monotonic() + 20
        while reserved(tenant):
            assert time.monotonic() < end, "the model goes on"
            await asyncio.sleep(0.1)

    assert [image["id"] for image in tenant.rest().get("/images").json()["images"]] == [source]


def test_http_asks_for_a_token_and_a_member(tenant: Tenant) -> None:
    body = {"jsonrpc": "2.0", "id": 1, "method": "tools/list"}
    path = f"/v1/workspaces/{tenant.id}/mcp"
    assert httpx.post(tenant.url(path), json=body).status_code == 401
    elsewhere = tenant.url("/v1/workspaces/elsewhere/mcp")
    assert httpx.post(elsewhere, json=body, headers=dict(tenant.metadata())).status_code == 403


@pytest.mark.parametrize("method", ["GET", "DELETE"])
def test_there_are_no_sessions(tenant: Tenant, method: str) -> None:
    assert tenant.rest().request(method, "/mcp").status_code == 405
