"""Nodes between pictures and latents.

The VAE `pixel_space` needs no model and leaves pictures as they are; all others are a simulation.

The tiled nodes go over a picture three times, with square, tall and wide tiles, and report each tile: 384 steps for
eight pictures of 2048 × 2048 px in tiles of 512 px, as in the recordings.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from .base import NodeContext, NodeResult
from .dreams import developed
from .node import Node
from .simulation import model_names
from .values import PIXEL_SPACE, Floats, Latent, Vae


def vae_encode(_ctx: NodeContext, *, pixels: Floats, vae: Vae) -> NodeResult:
    """Make a latent of pictures; alpha is left out."""
    return NodeResult((_encoded(pixels, vae),))


def vae_decode(_ctx: NodeContext, *, samples: Latent, vae: Vae) -> NodeResult:
    """Make pictures of a latent."""
    return NodeResult((_decoded(samples, vae),))


def vae_encode_tiled(
    ctx: NodeContext,
    *,
    pixels: Floats,
    vae: Vae,
    tile_size: int,
    overlap: int,
    **_temporal: int,
) -> NodeResult:
    """Make a latent of pictures, tile by tile; the inputs for tiles in time are for models of videos.

    Raises:
        ZeroDivisionError: The overlap is half of the tile size, as in the real node.
    """
    _walk(ctx, pixels, tile_size, overlap)
    return NodeResult((_encoded(pixels, vae),))


def vae_decode_tiled(
    ctx: NodeContext,
    *,
    samples: Latent,
    vae: Vae,
    tile_size: int,
    overlap: int = 64,
    **_temporal: int,
) -> NodeResult:
    """Make pictures of a latent, tile by tile; an overlap of more than a quarter of a tile is made a quarter."""
    _walk(ctx, samples.pixels, tile_size, min(overlap, tile_size // 4))
    return NodeResult((_decoded(samples, vae),))


def _encoded(pixels: Floats, vae: Vae) -> Latent:
    return Latent(pixels[..., :3], simulated=vae.simulated)


def _decoded(samples: Latent, vae: Vae) -> Floats:
    if samples.simulated or vae.simulated:
        return developed(samples)
    return _clipped(samples.pixels)


def _clipped(pixels: Floats) -> Floats:
    """Return values from 0 to 1, as decoding does, without a copy of large batches that are so already."""
    within = pixels.size == 0 or (pixels.min() >= 0 and pixels.max() <= 1)
    return pixels if within else np.clip(pixels, 0, 1)


def _walk(ctx: NodeContext, pixels: Floats, tile_px: int, overlap_px: int) -> None:
    """Report each tile. Every pixel is read, so that large pictures take long, but nothing is copied."""
    height, width = pixels.shape[1:3]
    passes = [(tile_px, tile_px), (tile_px // 2, tile_px * 2), (tile_px * 2, tile_px // 2)]
    counts = [_steps(width, wide, overlap_px) * _steps(height, high, overlap_px) for wide, high in passes]
    total = len(pixels) * sum(counts)
    done = 0
    for wide, high in passes:
        for image in pixels:
            for left, top in _corners(width, height, wide, high, overlap_px):
                tile = image[top : top + high, left : left + wide]
                if not np.isfinite(tile.sum(dtype=np.float64)):
                    raise ValueError("The pictures hold values that are not numbers.")
                done += 1
                ctx.progress(done, total)


def _steps(size: int, tile: int, overlap: int) -> int:
    """Return how many tiles one side needs; a true division on purpose, for its error text."""
    return 1 if size <= tile else math.ceil((size - overlap) / (tile - overlap))


def _corners(width: int, height: int, wide: int, high: int, overlap: int) -> Iterator[tuple[int, int]]:
    for row in range(_steps(height, high, overlap)):
        for column in range(_steps(width, wide, overlap)):
            yield column * (wide - overlap), row * (high - overlap)


def load_vae(_ctx: NodeContext, *, vae_name: str) -> NodeResult:
    """Take a VAE by name."""
    return NodeResult((Vae(vae_name),))


def _vae_names(input_dir: Path) -> list[str]:
    return [*model_names("vae", input_dir), PIXEL_SPACE]


NODES = (
    Node("VAELoader", load_vae, choices={"vae_name": _vae_names}),
    Node("VAEEncode", vae_encode),
    Node("VAEDecode", vae_decode),
    Node("VAEEncodeTiled", vae_encode_tiled),
    Node("VAEDecodeTiled", vae_decode_tiled),
)
