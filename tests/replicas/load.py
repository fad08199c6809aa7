"""Callers of all calls, over REST and gRPC, as many at a time as are asked for."""

import asyncio
import random
from collections import Counter
from dataclasses import dataclass, field
from itertools import count
from typing import Any

import aiohttp
import grpc
from imageservice.v1 import image_service_pb2, image_service_pb2_grpc

from tests.pictures import png
from tests.replicas.site import DIRECT, QUEUED, Site
from tests.rest.seed import GENERATE
from tests.service import WORKSPACE

_PATH = f"/v1/workspaces/{WORKSPACE}"


@dataclass
class Load:
    """Runs until ``calls`` were made or ``stop`` is set. What went wrong is in ``failures``, by how."""

    site: Site
    chance: random.Random
    calls: int = 1 << 62
    callers: int = 8
    faults: tuple[str, ...] = ("",)
    """Added to prompts, one at random: what the provider does wrong."""
    stop: asyncio.Event = field(default_factory=asyncio.Event)
    made: Counter[str] = field(default_factory=Counter)
    failures: list[str] = field(default_factory=list)
    acknowledged: set[str] = field(default_factory=set)
    """The ids of the images that callers were answered."""
    _numbers: "count[int]" = field(default_factory=count)

    async def run(self) -> None:
        headers = {"authorization": f"Bearer {self.site.token()}"}
        async with (
            aiohttp.ClientSession(self.site.base_url, headers=headers) as session,
            grpc.aio.insecure_channel(self.site.gateway.address) as channel,
        ):
            stub = image_service_pb2_grpc.ImageServiceStub(channel)
            await asyncio.gather(*(self._call_on(session, stub) for _ in range(self.callers)))

    async def _call_on(self, session: aiohttp.ClientSession, stub: Any) -> None:
        while not self.stop.is_set() and sum(self.made.values()) < self.calls:
            call = self.chance.choices(
                (self._generate, self._upload, self._look, self._generate_by_grpc), (4, 1, 4, 1)
            )[0]
            try:
                await call(session, stub)
            except (aiohttp.ClientError, TimeoutError, grpc.RpcError) as error:
                self._failed(call.__name__, str(error) or type(error).__name__)
            self.made[call.__name__] += 1

    async def _generate(self, session: aiohttp.ClientSession, stub: Any) -> None:
        number = next(self._numbers)
        fault = self.chance.choice(self.faults)
        body = {"prompt": f"picture {number} {fault}", "modelId": self.chance.choice((DIRECT, QUEUED))}
        headers = {"idempotency-key": f"key {number}"}
        async with session.post(f"{_PATH}{GENERATE}", json=body, headers=headers) as answer:
            document = await answer.json()
        if answer.status == 200:
            self.acknowledged.update(image["id"] for image in document["images"])
        elif not fault:
            self._failed("generate", f"{answer.status} {document}")

    async def _generate_by_grpc(self, session: aiohttp.ClientSession, stub: Any) -> None:
        number = next(self._numbers)
        request = image_service_pb2.GenerateImagesRequest(
            workspace_id=WORKSPACE, prompt=f"picture {number}", model_id=DIRECT, request_id=f"key {number}"
        )
        metadata = (("authorization", session.headers["authorization"]),)
        answer = await stub.GenerateImages(request, metadata=metadata, timeout=60)
        self.acknowledged.update(image.id for image in answer.images)

    async def _upload(self, session: aiohttp.ClientSession, stub: Any) -> None:
        headers = {"content-type": "image/png"}
        async with session.post(f"{_PATH}/images", data=png(), headers=headers) as answer:
            document = await answer.json()
        if answer.status != 200:
            self._failed("upload", f"{answer.status} {document}")
            return
        self.acknowledged.add(document["id"])
        async with session.get(document["_links"]["content"]) as content:
            if content.status != 200 or await content.read() != png():
                self._failed("content", str(content.status))

    async def _look(self, session: aiohttp.ClientSession, stub: Any) -> None:
        path = self.chance.choice((f"{_PATH}/images?pageSize=5", f"{_PATH}/usage", "/v1/models"))
        async with session.get(path) as answer:
            await answer.read()
        if answer.status != 200:
            self._failed("look", f"{answer.status} {path}")

    def _failed(self, call: str, why: str) -> None:
        self.failures.append(f"{call}: {why[:300]}")
