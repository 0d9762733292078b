"""Small pictures and films, made when a test wants them."""

from __future__ import annotations

import io
from pathlib import Path

import av
import numpy as np
from PIL import Image


def picture(size_px: int = 64, kind: str = "PNG", frames: int = 1) -> bytes:
    """A noisy picture, so that it does not compress away."""
    noise = np.random.default_rng(1)
    images = [Image.fromarray(noise.integers(0, 255, (size_px, size_px, 3), dtype=np.uint8)) for _ in range(frames)]
    buffer = io.BytesIO()
    images[0].save(buffer, kind, **({"save_all": True, "append_images": images[1:]} if frames > 1 else {}))
    return buffer.getvalue()


def video(path: Path) -> bytes:
    """A short film of five frames."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream("mpeg4", rate=8)
        stream.width, stream.height, stream.pix_fmt = 64, 64, "yuv420p"
        for shade in range(5):
            frame = av.VideoFrame.from_ndarray(np.full((64, 64, 3), shade * 40, dtype=np.uint8), format="rgb24")
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return path.read_bytes()
