"""Rough pictures from latents, without the decoder: a linear map from latents to colours.

The map is fitted once, to what the pipeline's own encoder makes of a card of plain colours.
"""

from typing import Any, Final

import torch
from PIL import Image

from limner.models.diffusers.pictures import png

_LEVELS: Final = 4
_PATCH: Final = 2
"""Latents along an edge of a patch of one colour."""


class LatentColours:
    """What colours the latents of a variational autoencoder stand for."""

    def __init__(self, vae: Any) -> None:
        self._scaling = getattr(vae.config, "scaling_factor", None) or 1.0
        self._shift = getattr(vae.config, "shift_factor", None) or 0.0
        self._channels = vae.config.latent_channels
        self._map = _fitted(vae)

    def picture(self, latents: torch.Tensor) -> bytes | None:
        """Return one latent (channels x height x width) as a PNG of its size; ``None`` for packed latents."""
        if latents.ndim != 3 or latents.shape[0] != self._channels:
            return None
        points = (latents.float() / self._scaling + self._shift).flatten(1).T
        colours = _with_one(points) @ self._map.to(points.device)
        levels = (colours.clamp(0, 1) * 255).round().to(torch.uint8).cpu()
        return png(Image.fromarray(levels.reshape(*latents.shape[1:], 3).numpy()))


def _fitted(vae: Any) -> torch.Tensor:
    """Return the map, (channels + 1) x 3, with the smallest squared error."""
    scale = 2 ** (len(vae.config.block_out_channels) - 1)
    levels = torch.linspace(0, 1, _LEVELS)
    colours = torch.cartesian_prod(levels, levels, levels)
    patches = colours.T.reshape(3, _LEVELS**2, _LEVELS)
    spread = patches.repeat_interleave(_PATCH, 1).repeat_interleave(_PATCH, 2)
    card = spread.repeat_interleave(scale, 1).repeat_interleave(scale, 2)[None] * 2 - 1
    latents = vae.encode(card.to(vae.device, vae.dtype)).latent_dist.mode()[0].float().cpu()
    return torch.linalg.lstsq(_with_one(latents.flatten(1).T), spread.flatten(1).T).solution


def _with_one(points: torch.Tensor) -> torch.Tensor:
    return torch.cat([points, points.new_ones(len(points), 1)], dim=1)
