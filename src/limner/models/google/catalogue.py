"""The known models, and what they can do."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Final

from limner.domain.model import ModelCapabilities
from limner.domain.task import ASPECT_RATIOS, AUTO_ASPECT_RATIO, Operation

DEVELOPER_URL: Final = "https://generativelanguage.googleapis.com/v1beta"
API_KEY_VARIABLES: Final = ("GEMINI_API_KEY", "GOOGLE_API_KEY")
"""Where a key is looked for when the catalogue names no variable; the first that is set counts."""


@dataclass(frozen=True, slots=True, kw_only=True)
class KnownModel:
    """What is known of one model."""

    description: str
    max_input_images: int
    """By Vertex AI's page on image understanding."""
    price_usd: Decimal | None = None
    """For the output tokens of one picture of 1K, by Google's price list; the few of the input are not in it."""
    retires: date | None = None
    """By the deprecation page of the Gemini API."""


KNOWN_MODELS: Final[Mapping[str, KnownModel]] = {
    "gemini-3.1-flash-image": KnownModel(
        description="Gemini 3.1 Flash Image (Nano Banana 2): fast, follows instructions, edits up to 14 pictures.",
        max_input_images=14,
        price_usd=Decimal("0.067"),
    ),
    "gemini-3-pro-image": KnownModel(
        description="Gemini 3 Pro Image (Nano Banana Pro): thinks before it draws, writes legible text.",
        max_input_images=14,
        price_usd=Decimal("0.134"),
    ),
    "gemini-2.5-flash-image": KnownModel(
        description="Gemini 2.5 Flash Image (Nano Banana), which Google retires.",
        max_input_images=3,
        price_usd=Decimal("0.039"),
        retires=date(2026, 10, 2),
    ),
}

_UNKNOWN_MODEL: Final = KnownModel(description="An image model of Google's Gemini family.", max_input_images=3)


def gemini_capabilities(upstream_model: str, model_id: str = "") -> ModelCapabilities:
    """Return what a model can do; of one that is not known, what all models of the family can.

    A picture's format is the model's own choice, so that any format is to be had by re-encoding. A seed is passed on:
    Google tries to make the same picture from it again, and promises nothing.
    """
    known = KNOWN_MODELS.get(upstream_model, _UNKNOWN_MODEL)
    return ModelCapabilities(
        watermarked=True,  # SynthID
        id=model_id or upstream_model,
        description=known.description,
        operations=(Operation.GENERATE, Operation.EDIT),
        aspect_ratios=(*ASPECT_RATIOS, AUTO_ASPECT_RATIO),
        max_input_images=known.max_input_images,
        seeds=True,
        price_usd=known.price_usd,
        retires=known.retires,
    )
