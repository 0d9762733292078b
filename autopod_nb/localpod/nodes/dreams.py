"""The pictures of the simulation: a start picture that drifts as the seed says, or blots of colour where there is none.

Nothing of it comes from a model, and every frame says `simulated`.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from .values import Floats, Latent, to_floats, to_picture

_LABEL = "simulated"
_PREVIEW_PX = 512  # longest side, as the real server's default
_BLOTS = (6, 4)  # colours across and down
_LARGEST_DRIFT = 0.12  # of the picture's width and height, from the first frame to the last
_LARGEST_ZOOM = 0.25


def developed(latent: Latent) -> Floats:
    """Return the frames of a simulated latent, marked; float32, frames × height × width × 3."""
    height, width = latent.pixels.shape[1:3]
    mark = _mark(width, height)
    frames = np.empty(latent.pixels.shape, dtype=np.uint8)
    for index in range(len(frames)):
        picture = _frame(latent, index)
        picture.paste(mark, (0, height - mark.height))
        frames[index] = np.asarray(picture)
    return to_floats(frames)


def previews(latent: Latent, steps: int) -> Iterator[Image.Image]:
    """Yield how far a sampler has come after each step: noise that clears up.

    Args:
        latent: What it will make.
        steps: How many steps it takes.
    """
    picture = _frame(latent, len(latent.pixels) - 1)
    picture.thumbnail((_PREVIEW_PX, _PREVIEW_PX))
    noise = Image.fromarray(_generator(latent).integers(0, 256, (picture.height, picture.width, 3), dtype=np.uint8))
    mark = _mark(*picture.size)
    for step in range(1, steps + 1):
        mixed = Image.blend(noise, picture, step / steps)
        mixed.paste(mark, (0, mixed.height - mark.height))
        yield mixed


def _generator(latent: Latent) -> np.random.Generator:
    return np.random.default_rng([latent.seed or 0, zlib.crc32(latent.text.encode())])


def _frame(latent: Latent, index: int) -> Image.Image:
    """Return a frame before it is marked."""
    height, width = latent.pixels.shape[1:3]
    if latent.seed is None:
        return to_picture(latent.pixels[index])
    generator = _generator(latent)
    drift_x, drift_y = generator.uniform(-_LARGEST_DRIFT, _LARGEST_DRIFT, 2)
    zoom = generator.uniform(0.05, _LARGEST_ZOOM)
    picture = _blots(generator, width, height) if latent.blank else to_picture(latent.pixels[index])
    # A video begins with its start picture; a still is where a video would end.
    time = index / (len(latent.pixels) - 1) if len(latent.pixels) > 1 else 1.0
    scale = 1 - zoom * time
    left = width * ((1 - scale) / 2 + drift_x * time)
    top = height * ((1 - scale) / 2 + drift_y * time)
    # What lies beyond an edge would be black: stay inside.
    left = min(max(left, 0.0), width * (1 - scale))
    top = min(max(top, 0.0), height * (1 - scale))
    return picture.transform(
        picture.size, Image.Transform.AFFINE, (scale, 0, left, 0, scale, top), Image.Resampling.BILINEAR
    )


def _blots(generator: np.random.Generator, width: int, height: int) -> Image.Image:
    colours = generator.integers(30, 226, (_BLOTS[1], _BLOTS[0], 3), dtype=np.uint8)
    return Image.fromarray(colours).resize((width, height), Image.Resampling.BICUBIC)


def _mark(width: int, height: int) -> Image.Image:
    """Return the label that goes into the lower left corner of frames of this size, never larger than they are."""
    size = max(8, min(height // 14, width // 8))
    font = ImageFont.load_default(size)
    left, top, right, bottom = (round(value) for value in font.getbbox(_LABEL))
    margin = size // 3
    label = Image.new("RGB", (right - left + 2 * margin, bottom - top + 2 * margin), "black")
    ImageDraw.Draw(label).text((margin - left, margin - top), _LABEL, fill="white", font=font)
    return label.crop((0, 0, min(label.width, width), min(label.height, height)))
