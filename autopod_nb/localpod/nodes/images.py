"""Nodes that make, size, cut and gather images."""

from __future__ import annotations

import numpy as np

from .base import NodeContext, NodeResult
from .node import Node
from .resize import scale
from .values import Floats, same_channels


def empty_image(_ctx: NodeContext, *, width: int, height: int, batch_size: int, color: int) -> NodeResult:
    """Make images of one colour, given as 0xRRGGBB."""
    channels = np.array([(color >> shift) & 0xFF for shift in (16, 8, 0)], dtype=np.float32) / np.float32(255)
    # A view without memory of its own: images are never written to, and large grey batches are common in tests.
    return NodeResult((np.broadcast_to(channels, (batch_size, height, width, 3)),))


def image_scale(
    _ctx: NodeContext, *, image: Floats, upscale_method: str, width: int, height: int, crop: str
) -> NodeResult:
    """Change the size; a side of 0 px follows the other one, both 0 changes nothing."""
    if width == 0 and height == 0:
        return NodeResult((image,))
    old_height, old_width = image.shape[1:3]
    if width == 0:
        width = max(1, round(old_width * height / old_height))
    elif height == 0:
        height = max(1, round(old_height * width / old_width))
    return NodeResult((scale(image, width, height, upscale_method, crop),))


def image_crop(_ctx: NodeContext, *, image: Floats, width: int, height: int, x: int, y: int) -> NodeResult:
    """Cut a rectangle out; what lies beyond the image is left out, but one pixel is always there."""
    left = min(x, image.shape[2] - 1)
    top = min(y, image.shape[1] - 1)
    return NodeResult((image[:, top : top + height, left : left + width],))


def image_batch(_ctx: NodeContext, *, image1: Floats, image2: Floats) -> NodeResult:
    """Put two batches behind one another; the second one is brought to the size of the first."""
    first, second = same_channels(image1, image2)
    second = scale(second, first.shape[2], first.shape[1], "bilinear", "center")
    return NodeResult((np.concatenate((first, second)),))


def repeat_image_batch(_ctx: NodeContext, *, image: Floats, amount: int) -> NodeResult:
    """Put a batch behind itself a number of times."""
    return NodeResult((np.tile(image, (amount, 1, 1, 1)),))


def image_from_batch(_ctx: NodeContext, *, image: Floats, batch_index: int, length: int) -> NodeResult:
    """Take some images out of a batch."""
    start = min(batch_index, len(image) - 1)
    return NodeResult((image[start : start + length],))


def get_image_size(_ctx: NodeContext, *, image: Floats) -> NodeResult:
    """Tell width, height and number of images."""
    count, height, width = image.shape[:3]
    return NodeResult((width, height, count))


NODES = (
    Node("EmptyImage", empty_image),
    Node("ImageScale", image_scale),
    Node("ImageCrop", image_crop),
    Node("ImageBatch", image_batch),
    Node("RepeatImageBatch", repeat_image_batch),
    Node("ImageFromBatch", image_from_batch),
    Node("GetImageSize", get_image_size),
)
