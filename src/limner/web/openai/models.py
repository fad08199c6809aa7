"""``models``: what callers send as ``model``."""

from collections.abc import Sequence
from typing import Any

from aiohttp import web

from limner.domain.model import ModelCapabilities
from limner.service.catalogue import Catalogue
from limner.web.door import Route
from limner.web.errors import HttpRefusalError
from limner.web.openai.errors import json_answer

POLICY = "openai.models"


def model_routes(base: str, catalogue: Catalogue) -> Sequence[Route]:
    """Return the routes of the list and of one model, whose id may have slashes."""

    async def listed(request: web.Request) -> web.Response:
        models = [_entry(model.capabilities) for model in catalogue]
        return json_answer({"object": "list", "data": models})

    async def one(request: web.Request) -> web.Response:
        model = catalogue.find(request.match_info["model"])
        if model is None:
            raise HttpRefusalError(404, "modelId", "there is no such model")
        return json_answer(_entry(model.capabilities))

    return (
        Route(method="GET", path=f"{base}/models", policy=POLICY, answer=listed),
        Route(method="GET", path=f"{base}/models/{{model}}", policy=POLICY, answer=one),
    )


def _entry(model: ModelCapabilities) -> dict[str, Any]:
    """Return a model; when it was made, nobody here knows."""
    return {"id": model.id, "object": "model", "created": 0, "owned_by": "limner"}
