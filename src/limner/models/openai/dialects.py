"""How servers that speak OpenAI's protocol differ from OpenAI.

Read in the sources of stable-diffusion.cpp 97d2990, LocalAI 82c191a, vllm-omni 0.30.0, sglang 0.5.23 and
litellm 1.109.1.
"""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Final

from limner.domain import limits
from limner.domain.errors import FieldViolation, InvalidFieldError
from limner.domain.image import OutputFormat
from limner.domain.task import Operation

_SD_CPP_TAG: Final = re.compile(r"<sd_cpp_extra_args>.*?</sd_cpp_extra_args>|</?sd_cpp_extra_args>", re.DOTALL)
_ALL_FORMATS: Final = frozenset(OutputFormat)
_NO_FORMATS: Final[frozenset[OutputFormat]] = frozenset()


class SeedPlace(StrEnum):
    """Where a request carries its seed."""

    NOWHERE = "nowhere"
    FIELD = "field"
    PROMPT = "prompt"
    """In a tag that stable-diffusion.cpp's server cuts out of the prompt."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Dialect:
    """The facts about one kind of server."""

    name: str
    operations: tuple[Operation, ...] = (Operation.GENERATE, Operation.EDIT)
    images_per_call: int = 1
    """Most pictures that one request may ask for and still get each with a seed of its own."""
    max_input_images: int = 1
    """Most inputs of an edit; the servers differ by the model they run, so the operator may say more."""
    seed: SeedPlace = SeedPlace.NOWHERE
    generate_formats: frozenset[OutputFormat] = _ALL_FORMATS
    """Formats that may be asked for; with none the field is left out."""
    edit_formats: frozenset[OutputFormat] = _ALL_FORMATS
    auto_size: str = ""
    """What asks an edit for the shape of its input; empty: the size is left out."""
    asks_for_base64: bool = False
    """Answers with addresses unless told otherwise."""
    streams: bool = False
    upscale_factors: tuple[int, ...] = ()

    def formats(self, operation: Operation) -> frozenset[OutputFormat]:
        """Return the formats that an operation may ask for."""
        return self.generate_formats if operation is Operation.GENERATE else self.edit_formats


OPENAI: Final = Dialect(
    name="openai",
    images_per_call=10,
    max_input_images=limits.MAX_INPUT_IMAGES,
    auto_size="auto",
    streams=True,
)

LIKE_OPENAI: Final = replace(OPENAI, images_per_call=8, auto_size="", streams=False, asks_for_base64=True)
"""For a model that is not OpenAI's when the operator says nothing of its server: what all of the servers understand.

Only OpenAI's own models refuse ``response_format``, without which SGLang answers nothing and LocalAI addresses.
"""

STABLE_DIFFUSION_CPP: Final = Dialect(
    name="stable-diffusion.cpp",
    images_per_call=8,  # more are silently 8; picture i is made from seed + i
    max_input_images=limits.MAX_INPUT_IMAGES,
    seed=SeedPlace.PROMPT,
    edit_formats=_ALL_FORMATS - {OutputFormat.WEBP},
)

# One seed makes all pictures of a call the same, and the first that fails takes the others along.
LOCALAI: Final = Dialect(
    name="localai",
    operations=(Operation.GENERATE, Operation.UPSCALE),
    seed=SeedPlace.FIELD,
    generate_formats=_NO_FORMATS,
    edit_formats=_NO_FORMATS,
    asks_for_base64=True,
    upscale_factors=(2, 4),
)

VLLM_OMNI: Final = Dialect(name="vllm-omni", seed=SeedPlace.FIELD, auto_size="auto")

SGLANG: Final = Dialect(name="sglang", seed=SeedPlace.FIELD, asks_for_base64=True)

# What is behind the proxy may know neither the format nor several pictures, and refuse the field.
LITELLM: Final = Dialect(name="litellm", generate_formats=_NO_FORMATS, edit_formats=_NO_FORMATS)

LITELLM_OPENAI: Final = Dialect(
    name="litellm", images_per_call=10, max_input_images=limits.MAX_INPUT_IMAGES, auto_size="auto"
)
"""A model of OpenAI's behind the proxy."""

DIALECTS: Final[Mapping[str, Dialect]] = {
    each.name: each for each in (OPENAI, STABLE_DIFFUSION_CPP, LOCALAI, VLLM_OMNI, SGLANG, LITELLM)
}


def guarded_prompt(prompt: str, dialect: Dialect) -> str:
    """Return a prompt that is nothing but a prompt to the server.

    The tags by which a prompt sets the parameters of stable-diffusion.cpp's server are cut out whatever the dialect:
    the operator may not have named it. LocalAI splits a prompt at ``|``, knows no escape and makes the rest a
    negative prompt. Raises ``InvalidFieldError`` for that, and when nothing is left.
    """
    if dialect.name == LOCALAI.name and "|" in prompt:
        raise InvalidFieldError([FieldViolation("prompt", "this model does not take the sign |")])
    plain = _without_tags(prompt)
    if not plain.strip():
        raise InvalidFieldError([FieldViolation("prompt", "holds nothing but settings of a server")])
    return plain


def prompt_with_seed(prompt: str, seed: int) -> str:
    """Return the prompt for stable-diffusion.cpp's server that also sets the seed."""
    return f"{prompt}<sd_cpp_extra_args>{json.dumps({'seed': seed})}</sd_cpp_extra_args>"


def _without_tags(prompt: str) -> str:
    """Cut tags out until none is left: what surrounds one may become another."""
    while (cut := _SD_CPP_TAG.sub("", prompt)) != prompt:
        prompt = cut
    return prompt
