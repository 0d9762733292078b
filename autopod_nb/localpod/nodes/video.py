"""Nodes for videos, with PyAV.

Files that ComfyUI 0.12.1 wrote are MP4 with H.264 in yuv420p and AAC sound; the workflow is in the container tag
`prompt`.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np

from .audio import decode_audio, encode_audio
from .base import NodeContext, NodeResult
from .folders import Folders, free_slot
from .image_files import entry, metadata
from .node import FileInput, Node
from .values import Audio, Floats, Video, to_bytes, to_floats

_PRESET = "veryfast"  # the real node takes x264's default: more than twice the work for the same look


def create_video(_ctx: NodeContext, *, images: Floats, fps: float, audio: Audio | None = None) -> NodeResult:
    """Join frames and sound."""
    return NodeResult((Video(images, Fraction(fps), audio),))


def get_video_components(_ctx: NodeContext, *, video: Video) -> NodeResult:
    """Take a video apart into frames, sound and frames a second."""
    return NodeResult((video.images, video.audio, float(video.fps)))


def load_video(ctx: NodeContext, *, file: str) -> NodeResult:
    """Read all frames and the sound of a file."""
    path = Folders(ctx.input_dir, ctx.output_dir, ctx.temp_dir).find(file)
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        fps = Fraction(stream.average_rate)
        frames = [frame.to_ndarray(format="rgb24") for frame in container.decode(stream)]
        container.seek(0)
        audio = decode_audio(container)
    return NodeResult((Video(to_floats(np.stack(frames)), fps, audio),))


def save_video(ctx: NodeContext, *, video: Video, filename_prefix: str, format: str, codec: str) -> NodeResult:  # noqa: A002, ARG001 -- the names of the real inputs; each has one choice beside `auto`
    """Write an MP4 file into the output folder."""
    height, width = video.images.shape[1:3]
    slot = free_slot(filename_prefix, ctx.output_dir, width=width, height=height)
    name = slot.name("mp4")
    _write(slot.folder / name, video, metadata(ctx))
    return NodeResult(ui={"images": [entry(slot, name)], "animated": [True]})


def _write(path: Path, video: Video, texts: Mapping[str, str]) -> None:
    count, height, width = video.images.shape[:3]
    rate = Fraction(round(video.fps * 1000), 1000)
    # Without this flag MP4 keeps only the tags that it knows.
    with av.open(str(path), mode="w", options={"movflags": "use_metadata_tags"}) as container:
        container.metadata.update(texts)
        stream = container.add_stream("h264", rate=rate, options={"preset": _PRESET})
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        sound = None if video.audio is None else _cut(video.audio, count / rate)
        sound_stream = None
        if sound is not None:
            sound_stream = container.add_stream("aac", rate=sound.sample_rate, layout="stereo")  # mono too
        _encode_frames(container, stream, video.images)
        if sound is not None:
            encode_audio(container, sound_stream, sound)


def _encode_frames(container: Any, stream: Any, images: Floats) -> None:  # PyAV's classes are not typed
    for image in images:
        frame = av.VideoFrame.from_ndarray(to_bytes(image[..., :3]), format="rgb24")
        container.mux(stream.encode(frame.reformat(format="yuv420p")))
    container.mux(stream.encode(None))


def _cut(sound: Audio, duration_s: Fraction) -> Audio:
    """Leave out what sounds after the last frame."""
    return Audio(sound.waveform[:, :, : math.ceil(duration_s * sound.sample_rate)], sound.sample_rate)


_VIDEO = FileInput("file", frozenset({"video"}), "Invalid video file: {}")

NODES = (
    Node("CreateVideo", create_video),
    Node("SaveVideo", save_video),
    Node("LoadVideo", load_video, file=_VIDEO),
    Node("GetVideoComponents", get_video_components),
)
