"""What flows along the links between nodes, and how pixels are counted.

Images are float32 arrays, batch × height × width × channels (3, or 4 with alpha), from 0 to 1; masks lack the last
axis.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray
from PIL import Image

Floats = NDArray[np.float32]
Bytes = NDArray[np.uint8]

PIXEL_SPACE = "pixel_space"


@dataclass(frozen=True, slots=True)
class Audio:
    """Sound.

    Args:
        waveform: float32, 1 × channels × samples, from -1 to 1.
        sample_rate: In Hz.
    """

    waveform: Floats
    sample_rate: int


@dataclass(frozen=True, slots=True)
class Video:
    """Frames with a rate and perhaps a sound.

    Args:
        images: The frames.
        fps: Frames a second.
        audio: The sound, if there is one.
    """

    images: Floats
    fps: Fraction
    audio: Audio | None = None


@dataclass(frozen=True, slots=True)
class Latent:
    """Pictures in the form that samplers work on. Here they stay pixels, three channels.

    Args:
        pixels: Like images; for a video one for each frame.
        simulated: Whether it stands for the latent of a real model, which this engine does not have.
        blank: Whether it began empty, without a picture.
        seed: What a simulated sampler was given; None before it.
        text: What the picture is to show, for a simulated sampler.
    """

    pixels: Floats
    simulated: bool = False
    blank: bool = False
    seed: int | None = None
    text: str = ""


@dataclass(frozen=True, slots=True)
class Vae:
    """Turns pictures into latents and back.

    Args:
        name: The file, or `pixel_space`, the one that needs no model.
    """

    name: str

    @property
    def simulated(self) -> bool:
        """Whether this engine only acts as if it had it."""
        return self.name != PIXEL_SPACE


@dataclass(frozen=True, slots=True)
class Model:
    """A model that this engine only acts as if it had: a diffusion model, a text or a picture encoder.

    Args:
        name: Its file.
    """

    name: str


@dataclass(frozen=True, slots=True)
class Conditioning:
    """What a simulated sampler is to show.

    Args:
        text: The prompt's text.
    """

    text: str


def to_bytes(images: Floats) -> Bytes:
    """Return 8-bit pixels; values are cut off, not rounded, as the real server does when it saves."""
    scaled: Floats = images * np.float32(255)
    return np.clip(scaled, 0, 255, out=scaled).astype(np.uint8)


def to_floats(pixels: Bytes) -> Floats:
    """Return 8-bit pixels as values from 0 to 1."""
    floats: Floats = pixels.astype(np.float32)
    floats /= np.float32(255)
    return floats


def to_picture(image: Floats) -> Image.Image:
    """Return one image, height × width × 1, 3 or 4 channels, as a Pillow picture."""
    pixels = to_bytes(image)
    return Image.fromarray(pixels[..., 0] if pixels.shape[-1] == 1 else pixels)


def from_picture(picture: Image.Image) -> Floats:
    """Return a Pillow picture in mode RGB as one image, height × width × 3."""
    return to_floats(np.asarray(picture, dtype=np.uint8))


def same_channels(first: Floats, second: Floats) -> tuple[Floats, Floats]:
    """Give the one with fewer channels full alpha, so that both have as many."""
    wanted = max(first.shape[-1], second.shape[-1])
    return _padded(first, wanted), _padded(second, wanted)


def _padded(images: Floats, channels: int) -> Floats:
    missing = channels - images.shape[-1]
    if missing == 0:
        return images
    return np.pad(images, ((0, 0), (0, 0), (0, 0), (0, missing)), constant_values=1.0)
