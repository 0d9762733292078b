"""Nodes for sound, with PyAV."""

from __future__ import annotations

import secrets
import string
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import av
import numpy as np

from .base import NodeContext, NodeResult
from .folders import Folders, free_slot
from .image_files import entry, metadata
from .node import FileInput, Node
from .values import Audio

_MP3_QUALITIES: Mapping[str, Mapping[str, int]] = {
    "V0": {"qscale": 1},
    "128k": {"bit_rate": 128_000},
    "320k": {"bit_rate": 320_000},
}


def empty_audio(_ctx: NodeContext, *, duration: float, sample_rate: int, channels: int) -> NodeResult:
    """Make silence; the duration is in seconds."""
    samples = round(duration * sample_rate)
    return NodeResult((Audio(np.zeros((1, channels, samples), dtype=np.float32), sample_rate),))


def load_audio(ctx: NodeContext, *, audio: str) -> NodeResult:
    """Read the sound of a file."""
    path = Folders(ctx.input_dir, ctx.output_dir, ctx.temp_dir).find(audio)
    with av.open(str(path)) as container:
        sound = decode_audio(container)
    if sound is None:
        raise ValueError(f"No audio stream found in the file {audio!r}.")
    return NodeResult((sound,))


def decode_audio(container: Any) -> Audio | None:  # PyAV's classes are not typed
    """Read the first sound of an open container from where it stands; None if it has none."""
    if not container.streams.audio:
        return None
    stream = container.streams.audio[0]
    resampler = av.AudioResampler(format="fltp", layout=stream.layout.name)
    parts: list[Any] = [np.zeros((stream.channels, 0), dtype=np.float32)]
    for frame in container.decode(stream):
        parts.extend(part.to_ndarray() for part in resampler.resample(frame))
    parts.extend(part.to_ndarray() for part in resampler.resample(None))
    return Audio(np.concatenate(parts, axis=1)[None], stream.rate)


def encode_audio(container: Any, stream: Any, sound: Audio) -> None:
    """Write a sound into a stream of an open container, to the end."""
    waveform = sound.waveform[0]
    interleaved = np.ascontiguousarray(waveform.T, dtype=np.float32).reshape(1, -1)
    frame = av.AudioFrame.from_ndarray(interleaved, format="flt", layout=layout_of(sound))
    frame.sample_rate = sound.sample_rate
    frame.pts = 0
    container.mux(stream.encode(frame))
    container.mux(stream.encode(None))


def layout_of(sound: Audio) -> str:
    """Return PyAV's name for the number of channels; more than two are not known to these nodes."""
    return "mono" if sound.waveform.shape[1] == 1 else "stereo"


def _write(path: Path, sound: Audio, texts: Mapping[str, str], codec: str, options: Mapping[str, int]) -> None:
    with av.open(str(path), mode="w") as container:
        container.metadata.update(texts)
        stream = container.add_stream(codec, rate=sound.sample_rate, layout=layout_of(sound))
        for name, value in options.items():
            setattr(stream.codec_context, name, value)
        encode_audio(container, stream, sound)


def save_audio(ctx: NodeContext, *, audio: Audio, filename_prefix: str) -> NodeResult:
    """Write a FLAC file into the output folder."""
    slot = free_slot(filename_prefix, ctx.output_dir)
    name = slot.name("flac")
    _write(slot.folder / name, audio, metadata(ctx), "flac", {})
    return NodeResult(ui={"audio": [entry(slot, name)]})


def preview_audio(ctx: NodeContext, *, audio: Audio) -> NodeResult:
    """Write a FLAC file into the temp folder, under a name with five random letters."""
    letters = "".join(secrets.choice(string.ascii_lowercase) for _ in range(5))
    slot = free_slot(f"ComfyUI_temp_{letters}", ctx.temp_dir)
    name = slot.name("flac")
    _write(slot.folder / name, audio, metadata(ctx), "flac", {})
    return NodeResult(ui={"audio": [entry(slot, name, "temp")]})


def save_audio_mp3(ctx: NodeContext, *, audio: Audio, filename_prefix: str, quality: str) -> NodeResult:
    """Write an MP3 file into the output folder."""
    slot = free_slot(filename_prefix, ctx.output_dir)
    name = slot.name("mp3")
    _write(slot.folder / name, audio, metadata(ctx), "libmp3lame", _MP3_QUALITIES[quality])
    return NodeResult(ui={"audio": [entry(slot, name)]})


_SOUND = FileInput("audio", frozenset({"audio", "video"}), "Invalid audio file: {}")

NODES = (
    Node("EmptyAudio", empty_audio),
    Node("LoadAudio", load_audio, file=_SOUND),
    Node("SaveAudio", save_audio),
    Node("SaveAudioMP3", save_audio_mp3),
    Node("PreviewAudio", preview_audio),
)
