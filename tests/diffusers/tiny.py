"""Tiny pipelines with random weights, of the same parts as real ones: ``python -m tests.diffusers.tiny FOLDER``."""

import math
import sys
from pathlib import Path
from typing import Any

import torch
from diffusers import (
    AutoencoderKL,
    DDIMScheduler,
    DDPMScheduler,
    EulerAncestralDiscreteScheduler,
    StableDiffusionPipeline,
    StableDiffusionUpscalePipeline,
    UNet2DConditionModel,
)
from diffusers.pipelines.stable_diffusion import StableDiffusionSafetyChecker
from transformers import (
    CLIPConfig,
    CLIPImageProcessor,
    CLIPTextConfig,
    CLIPTextModel,
    CLIPTokenizer,
    CLIPVisionConfig,
)

NATIVE_EDGE = 64
"""Pixels along an edge of what the text-to-image pipelines make best: 16 latents of 4 pixels."""
MAX_TOKENS = 77
ALWAYS, SOMETIMES, NEVER = -2.0, -0.005, 2.0
"""From which likeness to its concept the safety checker flags a picture; -1 to 1 is possible."""

_WIDTH = 32
_SPECIAL = ("<|startoftext|>", "<|endoftext|>")
_BETAS: dict[str, Any] = {
    "beta_start": 0.00085,
    "beta_end": 0.012,
    "beta_schedule": "scaled_linear",
    "steps_offset": 1,
}
_NETWORK = {"hidden_size": _WIDTH, "intermediate_size": 37, "num_attention_heads": 4, "num_hidden_layers": 2}
_TEXT = {
    **_NETWORK,
    "vocab_size": 600,
    "max_position_embeddings": MAX_TOKENS,
    "bos_token_id": 512,
    "eos_token_id": 513,
    "pad_token_id": 513,
}


def save_all(folder: Path) -> None:
    """Save every pipeline that the tests need, each in a folder of its own."""
    plain = _text_to_image()
    plain.save_pretrained(folder / "plain")
    plain.save_pretrained(folder / "pickled", safe_serialization=False)
    _text_to_image(scheduler=EulerAncestralDiscreteScheduler(**_BETAS)).save_pretrained(folder / "ancestral")
    _text_to_image(checker=_checker(NEVER)).save_pretrained(folder / "unflagged")
    _text_to_image(checker=_checker(SOMETIMES)).save_pretrained(folder / "some-flagged")
    _text_to_image(checker=_checker(ALWAYS)).save_pretrained(folder / "flagged")
    _overflowing().save_pretrained(folder / "overflowing")
    _upscaler().save_pretrained(folder / "upscaler")


def _text_to_image(
    scheduler: object = None, checker: StableDiffusionSafetyChecker | None = None
) -> StableDiffusionPipeline:
    torch.manual_seed(0)
    return StableDiffusionPipeline(
        vae=_vae(),
        text_encoder=_text_encoder(),
        tokenizer=_tokenizer(),
        unet=_unet(4),
        scheduler=scheduler or DDIMScheduler(**_BETAS, clip_sample=False, set_alpha_to_one=False),
        safety_checker=checker,
        feature_extractor=CLIPImageProcessor(size=30, crop_size=30) if checker else None,
        requires_safety_checker=checker is not None,
    )


def _overflowing() -> StableDiffusionPipeline:
    """A pipeline whose decoder makes numbers that are none, as half precision does: a black picture."""
    pipeline = _text_to_image()
    pipeline.vae.decoder.conv_out.bias.data.fill_(math.nan)
    return pipeline


def _upscaler() -> StableDiffusionUpscalePipeline:
    torch.manual_seed(0)
    return StableDiffusionUpscalePipeline(
        vae=_vae(scaling_factor=0.08333),
        text_encoder=_text_encoder(),
        tokenizer=_tokenizer(),
        unet=_unet(7, class_embeddings=1000),
        low_res_scheduler=DDPMScheduler(),
        scheduler=DDIMScheduler(**_BETAS, clip_sample=False, set_alpha_to_one=False),
        max_noise_level=350,
    )


def _unet(channels: int, class_embeddings: int | None = None) -> UNet2DConditionModel:
    return UNet2DConditionModel(
        sample_size=NATIVE_EDGE // 4,
        in_channels=channels,
        out_channels=4,
        block_out_channels=(_WIDTH, 2 * _WIDTH),
        layers_per_block=1,
        norm_num_groups=8,
        cross_attention_dim=_WIDTH,
        attention_head_dim=8,
        num_class_embeds=class_embeddings,
        down_block_types=("DownBlock2D", "CrossAttnDownBlock2D"),
        up_block_types=("CrossAttnUpBlock2D", "UpBlock2D"),
    )


def _vae(**other: float) -> AutoencoderKL:
    return AutoencoderKL(
        block_out_channels=(16, 16, 32),
        layers_per_block=1,
        norm_num_groups=8,
        latent_channels=4,
        sample_size=NATIVE_EDGE,
        down_block_types=("DownEncoderBlock2D",) * 3,
        up_block_types=("UpDecoderBlock2D",) * 3,
        **other,
    )


def _text_encoder() -> CLIPTextModel:
    return CLIPTextModel(CLIPTextConfig(**_TEXT)).eval()


def _tokenizer() -> CLIPTokenizer:
    """A tokenizer that knows every byte, within a word and at its end."""
    letters = [chr(code) for code in [*range(33, 127), *range(161, 173), *range(174, 256)]]
    letters += [chr(256 + extra) for extra in range(256 - len(letters))]
    words = [*letters, *(f"{letter}</w>" for letter in letters), *_SPECIAL]
    vocabulary = {word: number for number, word in enumerate(words)}
    return CLIPTokenizer(vocab=vocabulary, merges=[], model_max_length=MAX_TOKENS)


def _checker(threshold: float) -> StableDiffusionSafetyChecker:
    """A checker that flags what looks more alike its one concept than the threshold, a cosine."""
    torch.manual_seed(1)
    vision = CLIPVisionConfig(**{**_NETWORK, "image_size": 30, "patch_size": 6})
    checker = StableDiffusionSafetyChecker(CLIPConfig(text_config=_TEXT, vision_config=vision.to_dict()))
    checker.concept_embeds.data.normal_()
    checker.concept_embeds_weights.data.fill_(NEVER)
    checker.concept_embeds_weights.data[0] = threshold
    checker.special_care_embeds_weights.data.fill_(NEVER)
    return checker


if __name__ == "__main__":
    save_all(Path(sys.argv[1]))
