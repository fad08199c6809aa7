"""The known models, what they can do, and how the operator's words become a model.

Ids, sizes and dates from the docstrings of the SDK, openai 3.54.0. Of 2.6 only the ids are known.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from decimal import Decimal
from typing import Any, Final

from limner.domain.model import ModelCapabilities
from limner.domain.task import AUTO_ASPECT_RATIO, Operation
from limner.models.http.breaker import CircuitBreaker
from limner.models.http.retry import RetryPolicy
from limner.models.openai.dialects import DIALECTS, LIKE_OPENAI, LITELLM, LITELLM_OPENAI, OPENAI, Dialect, SeedPlace
from limner.models.openai.model import TIMEOUTS, OpenAiModel
from limner.models.openai.requests import OMITTABLE, UNSAID_RATIOS, Upstream
from limner.outbound.client import HttpClient, Timeouts

BASE_URL: Final = "https://api.openai.com/v1"
API_KEY_ENV: Final = "OPENAI_API_KEY"

_FAMILY: Final = "gpt-image"
"""In the names of OpenAI's models, those to come and deployments of one's own among them."""

_THREE_SIZES: Final[Mapping[str, str]] = {"1:1": "1024x1024", "3:2": "1536x1024", "2:3": "1024x1536"}

_ALL_SIZES: Final[Mapping[str, str]] = {
    "1:1": "1024x1024",
    "16:9": "1536x864",
    "9:16": "864x1536",
    "4:3": "1152x864",
    "3:4": "864x1152",
    "3:2": "1536x1024",
    "2:3": "1024x1536",
    "21:9": "1568x672",
    "4:5": "960x1200",
    "5:4": "1200x960",
}
"""Exact ratios, both edges multiples of 16, and at least the 655,360 pixels that gpt-image-2 asks for."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelFacts:
    """What is known about one of OpenAI's models."""

    description: str
    sizes: Mapping[str, str]
    """What is asked for by the aspect ratio."""
    retires: date | None = None
    qualities: tuple[str, ...] = ("auto", "low", "medium", "high")


def _classic(description: str, retires: date | None = None) -> ModelFacts:
    return ModelFacts(description=description, sizes=_THREE_SIZES, retires=retires)


def _any_size(description: str) -> ModelFacts:
    return ModelFacts(description=description, sizes=_ALL_SIZES)


def _thorough(description: str) -> ModelFacts:
    return replace(_any_size(description), qualities=("auto", "low", "medium", "high", "xhigh", "max"))


_BACKGROUNDS: Final = ("auto", "opaque", "transparent")
_DALL_E_END: Final = date(2026, 5, 12)

MODELS: Final[Mapping[str, ModelFacts]] = {
    "gpt-image-2.6-sunburst": _any_size("OpenAI GPT Image 2.6 Sunburst"),
    "gpt-image-2.6-flare": _any_size("OpenAI GPT Image 2.6 Flare"),
    "gpt-image-2.5-sunburst": _thorough("OpenAI GPT Image 2.5 Sunburst"),
    "gpt-image-2.5-sunburst-2026-09-08": _thorough("OpenAI GPT Image 2.5 Sunburst, as of 2026-09-08"),
    "gpt-image-2.5-flare": _thorough("OpenAI GPT Image 2.5 Flare"),
    "gpt-image-2.5-flare-2026-09-08": _thorough("OpenAI GPT Image 2.5 Flare, as of 2026-09-08"),
    "gpt-image-2": _any_size("OpenAI GPT Image 2"),
    "gpt-image-2-2026-04-21": _any_size("OpenAI GPT Image 2, as of 2026-04-21"),
    "gpt-image-1.5": _classic("OpenAI GPT Image 1.5"),
    "gpt-image-1-mini": _classic("OpenAI GPT Image 1 Mini"),
    "chatgpt-image-latest": _classic("The image model that ChatGPT uses now"),
    "gpt-image-1": _classic("OpenAI GPT Image 1", date(2026, 10, 23)),
    "dall-e-3": _classic("OpenAI DALL·E 3", _DALL_E_END),
    "dall-e-2": _classic("OpenAI DALL·E 2", _DALL_E_END),
}

HOSTED_MODELS: Final = (
    "gpt-image-2",
    "gpt-image-2.6-sunburst",
    "gpt-image-2.6-flare",
    "gpt-image-2.5-sunburst",
    "gpt-image-2.5-flare",
    "gpt-image-1.5",
    "gpt-image-1-mini",
)
"""What a catalogue holds without a file, when ``API_KEY_ENV`` is set: all that live, but no dated snapshots."""


def openai_model(
    *,
    model_id: str,
    client: HttpClient,
    breaker: CircuitBreaker,
    api_key: str = "",
    api_key_env: str = "",
    upstream_model: str = "",
    base_url: str = BASE_URL,
    dialect: str = OPENAI.name,
    operations: Sequence[Operation] = (),
    price_usd: Decimal | None = None,
    result_hosts: Iterable[str] = (),
    images_per_call: int = 0,
    quality: str = "",
    previews: int = 2,
    omit: Iterable[str] = (),
    overrides: Mapping[str, Any] | None = None,
    timeouts: Timeouts = TIMEOUTS,
    retry: RetryPolicy | None = None,
) -> OpenAiModel:
    """Return the model of one entry of the catalogue.

    ``api_key_env`` names where ``api_key`` came from: named and empty, the model is not ready; a server of one's own
    may have neither. ``operations`` restricts what the dialect can; ``images_per_call`` 0 is the dialect's own.
    ``quality`` is the vendor's word, and left out when empty. ``previews`` is how many early forms a watched picture
    gets, 0 to 3; OpenAI charges for each. ``omit`` names fields that the server does not take; without ``size`` the
    model has one shape, ``1:1`` unless ``overrides`` name another, and without ``seed`` no seeds. ``overrides`` are
    fields of ``ModelCapabilities``.
    Raises ``ValueError`` or ``TypeError``, which say what is wrong with the entry.
    """
    upstream = _upstream(upstream_model or model_id, dialect, images_per_call, quality, previews)
    upstream = replace(upstream, omit=_omitted(omit))
    return OpenAiModel(
        _capabilities(model_id, upstream, operations, price_usd, overrides or {}),
        upstream,
        base_url=base_url,
        client=client,
        breaker=breaker,
        api_key=api_key,
        api_key_env=api_key_env,
        result_hosts=result_hosts,
        timeouts=timeouts,
        retry=retry,
    )


def _upstream(name: str, dialect_name: str, images_per_call: int, quality: str, previews: int) -> Upstream:
    if dialect_name not in DIALECTS:
        raise ValueError(f"there is no dialect {dialect_name}; there are {', '.join(DIALECTS)}")
    if not 0 <= previews <= 3:
        raise ValueError("previews must be 0 to 3")
    if not 0 <= images_per_call <= 10:
        raise ValueError("images_per_call must be 1 to 10")
    dialect, facts = DIALECTS[dialect_name], _facts(name)
    if dialect is LITELLM and facts is not None:
        dialect = LITELLM_OPENAI
    if dialect is OPENAI and facts is None and _FAMILY not in name:
        dialect = LIKE_OPENAI
    if images_per_call > 1 and dialect.seed is SeedPlace.FIELD:
        raise ValueError(f"images_per_call must be 1: the pictures of one call to {dialect.name} share a seed")
    if images_per_call:
        dialect = replace(dialect, images_per_call=images_per_call)
    sizes = facts.sizes if facts is not None else _ALL_SIZES
    return Upstream(model=name, dialect=dialect, sizes=sizes, quality=quality, previews=previews)


def _omitted(names: Iterable[str]) -> frozenset[str]:
    if wrong := [name for name in names if name not in OMITTABLE]:
        raise ValueError(f"omit: {', '.join(wrong)} can't be left out; {', '.join(OMITTABLE)} can")
    return frozenset(names)


def _facts(name: str) -> ModelFacts | None:
    """Return what is known of a model, which a proxy may call ``openai/gpt-image-2``."""
    return MODELS.get(name.rpartition("/")[2])


def _capabilities(
    model_id: str,
    upstream: Upstream,
    operations: Sequence[Operation],
    price_usd: Decimal | None,
    overrides: Mapping[str, Any],
) -> ModelCapabilities:
    dialect, facts = upstream.dialect, _facts(upstream.model)
    able = _operations(dialect, operations)
    edits = Operation.EDIT in able
    known = ModelCapabilities(
        id=model_id,
        description=facts.description if facts else f"{upstream.model}, by a server that speaks {dialect.name}",
        operations=able,
        aspect_ratios=(*upstream.sizes, AUTO_ASPECT_RATIO) if edits else tuple(upstream.sizes),
        max_input_images=dialect.max_input_images if edits else int(Operation.UPSCALE in able),
        upscale_factors=dialect.upscale_factors if Operation.UPSCALE in able else (),
        seeds=dialect.seed is SeedPlace.PROMPT or (dialect.seed is SeedPlace.FIELD and "seed" not in upstream.omit),
        price_usd=price_usd,
        retires=facts.retires if facts else None,
        # Other servers may drop these words without a word.
        qualities=facts.qualities if facts and "quality" not in upstream.omit else (),
        backgrounds=_BACKGROUNDS if facts and "background" not in upstream.omit else (),
        compresses=facts is not None and "output_compression" not in upstream.omit,
        masks=facts is not None and edits,
        watermarked=facts is not None and dialect is OPENAI,  # SynthID, by OpenAI's own service
    )
    if "size" in upstream.omit:
        overrides = {"aspect_ratios": tuple(each for each in UNSAID_RATIOS if each in known.aspect_ratios), **overrides}
    return known.overridden(overrides)


def _operations(dialect: Dialect, wanted: Sequence[Operation]) -> tuple[Operation, ...]:
    if impossible := [each for each in wanted if each not in dialect.operations]:
        raise ValueError(f"{dialect.name} can't {', '.join(impossible)}")
    return tuple(wanted) or dialect.operations
