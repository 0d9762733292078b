"""Failures that people meet again and again: how they look in a log or an error, and what to do. Pure.

The patterns are the words of PyTorch, CUDA, Linux and ComfyUI itself; the first that fits counts, so that the more
telling ones stand first.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

OUT_OF_GPU_MEMORY = "Out of GPU memory"
"""Name of the failure that a larger GPU helps against."""
_MAX_LINE = 2000  # characters that are looked at: a line can be a whole picture as base64


@dataclass(frozen=True, slots=True)
class KnownFailure:
    """A failure with a name.

    Attributes:
        name: a few words, unique.
        advice: what to do, one sentence.
    """

    name: str
    advice: str

    def __str__(self) -> str:
        return f"{self.name}: {self.advice}"


def _known(pattern: str, name: str, advice: str) -> tuple[re.Pattern[str], KnownFailure]:
    return re.compile(pattern, re.IGNORECASE), KnownFailure(name, advice)


_TABLE = (
    _known(
        r"no space left on device|\[errno 28\]|disk quota exceeded|database or disk is full",
        "No space left",
        "the pod's disk is full: delete models or outputs that are not needed, or rent a pod with a larger disk.",
    ),
    _known(
        r"cannot allocate memory|can't allocate memory|\bmemoryerror\b|oom-kill|out of memory: killed process",
        "Out of main memory",
        "the pod's RAM is too small for it, not its GPU: load fewer models at a time, or rent a pod with more RAM.",
    ),
    _known(
        r"outofmemoryerror|cuda(?: error:)? out of memory|got an oom\b|allocation on device",
        OUT_OF_GPU_MEMORY,
        "make the picture smaller, the clip shorter or the batch 1, or ask for a GPU with more memory (`--gpu A6000`).",
    ),
    _known(
        r"no kernel image is available|forward compatibility was attempted|nvidia driver on your system is too old"
        r"|cuda driver version is insufficient|torch not compiled with cuda|found no nvidia driver"
        r"|error 80[34]\b|lib(?:cudnn|cublas|cudart|nvrtc)[\w.]*: cannot open shared object",
        "CUDA does not fit the GPU",
        "PyTorch in this image was built for other GPUs or another driver: use an image with a fitting CUDA version, "
        "or another GPU.",
    ),
    _known(
        r"gpu is lost|fallen off the bus|uncorrectable ecc|unspecified launch failure|illegal memory access"
        r"|misaligned address",
        "The GPU itself failed",
        "end this pod and rent another one; if it fails there too, a custom node is to blame.",
    ),
    _known(
        r"\(import failed\)|cannot import .+ module for custom nodes",
        "A custom node cannot be imported",
        "its nodes are missing now: the lines above it in the log say which Python package it wants; "
        "install that on the pod.",
    ),
    _known(
        r"no node class|missing_node_type|because node .+ does not exist|cannot execute because a node is missing",
        "A node class is missing",
        "install the custom node that brings it on the pod, or use another workflow.",
    ),
    _known(
        r"model in folder .+ not found|no such file or directory: .+\.(?:safetensors|ckpt|pth?|gguf|bin|sft)\b"
        r"|\.(?:safetensors|ckpt|pth?|gguf|sft)'? (?:is not in its list|is not on the pod|not in \[)",
        "A model file is missing",
        "put it into its folder below `models/` on the pod, under exactly the name that the workflow says.",
    ),
    _known(
        r"error while deserializing header|headertoolarge|metadataincompletebuffer|invalidheaderdeserialization"
        r"|pytorchstreamreader failed|could not detect model type|unpicklingerror",
        "A model file is damaged",
        "it is cut short, a text instead of the model, or of an unknown kind: download it again and compare its size.",
    ),
    _known(
        r"shapes cannot be multiplied|size mismatch for |expected .+ to have \d+ channels, but got \d+",
        "Models do not belong together",
        "checkpoint, text encoder, VAE, LoRA and ControlNet must be of one model family.",
    ),
    _known(
        r"address already in use|\[errno (?:98|48)\]|error while attempting to bind",
        "The port is taken",
        "another ComfyUI runs on the pod already: end one of them.",
    ),
    _known(
        r"gatedrepoerror|401 client error|403 client error|access to model .+ is restricted",
        "A download was refused",
        "the file wants an account: accept its licence there, and give the pod a token.",
    ),
    _known(
        r"ffmpeg(?: is)? (?:not found|required|could not be found)|no such file or directory: '?ffmpeg",
        "ffmpeg is missing",
        "install it on the pod (`apt-get install ffmpeg`), or use an image that has it.",
    ),
)


def recognise(text: str) -> KnownFailure | None:
    """The failure that *text* speaks of, None if it is none that is known."""
    head = text[:_MAX_LINE]
    return next((failure for pattern, failure in _TABLE if pattern.search(head)), None)


def recognise_all(lines: Iterable[str]) -> tuple[tuple[KnownFailure, str], ...]:
    """The failures in a log, each once with the newest line that shows it, in order of their first lines."""
    found: dict[KnownFailure, str] = {}
    for line in lines:
        failure = recognise(line)
        if failure is not None:
            found[failure] = line.strip()[:_MAX_LINE]
    return tuple(found.items())
