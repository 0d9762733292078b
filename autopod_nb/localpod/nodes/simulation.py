"""What this engine has in place of models and a GPU: names of models, a pace for each type of GPU, and an honest mark.

Whatever comes out of a graph with models is a simulation and says so: `simulated` stands in every frame (`dreams`) and
in every file's metadata.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from .folders import listed
from .values import PIXEL_SPACE

GPU_VARIABLE = "AUTOPOD_LOCALPOD_GPU"
"""Environment variable with the GPU that the pod claims to have. Without it there are no models and no pauses."""

_STEP_S: Mapping[str, float] = {"4090": 0.10, "A6000": 0.16, "3090": 0.18, "A40": 0.18, "A5000": 0.22}
"""Seconds a sampling step by GPU: guesses in about the real order, some hundred times faster than the real ones."""
_OTHER_GPU_STEP_S = 0.2

_MODEL_FILES: Mapping[str, tuple[str, ...]] = {
    "checkpoints": ("sd_xl_base_1.0.safetensors", "svd.safetensors", "svd_xt.safetensors"),
    "clip_vision": ("clip_vision_h.safetensors",),
    "diffusion_models": (
        "wan2.1_i2v_480p_14B_fp16.safetensors",
        "wan2.1_i2v_480p_14B_fp8_e4m3fn.safetensors",
        "wan2.1_i2v_720p_14B_fp16.safetensors",
        "wan2.1_i2v_720p_14B_fp8_e4m3fn.safetensors",
        "wan2.2_i2v_high_noise_14B_fp8_scaled.safetensors",
        "wan2.2_i2v_low_noise_14B_fp8_scaled.safetensors",
        "wan2.2_ti2v_5B_fp16.safetensors",
    ),
    "loras": (
        "wan2.2_i2v_lightx2v_4steps_lora_v1_high_noise.safetensors",
        "wan2.2_i2v_lightx2v_4steps_lora_v1_low_noise.safetensors",
    ),
    "text_encoders": ("umt5_xxl_fp16.safetensors", "umt5_xxl_fp8_e4m3fn_scaled.safetensors"),
    "vae": ("wan2.2_vae.safetensors", "wan_2.1_vae.safetensors"),
}

SIMULATED = frozenset(
    {
        "CheckpointLoaderSimple",
        "CLIPLoader",
        "CLIPTextEncode",
        "CLIPVisionEncode",
        "CLIPVisionLoader",
        "ConditioningZeroOut",
        "DualCLIPLoader",
        "EmptyLatentImage",
        "EmptySD3LatentImage",
        "ImageOnlyCheckpointLoader",
        "KSampler",
        "KSamplerAdvanced",
        "KSamplerSelect",
        "LoraLoader",
        "LoraLoaderModelOnly",
        "ModelSamplingSD3",
        "SVD_img2vid_Conditioning",
        "UNETLoader",
        "VideoLinearCFGGuidance",
        "Wan22ImageToVideoLatent",
        "WanImageToVideo",
    }
)
"""Classes that act as if they had a model. `VAELoader` is one too, unless it loads `pixel_space`."""


def gpu() -> str:
    """Return the name of the GPU that the pod claims to have; empty if it claims none."""
    return os.environ.get(GPU_VARIABLE, "").strip()


def step_s() -> float:
    """Return how long a sampling step takes, in seconds; 0 without a GPU."""
    name = gpu().upper()
    if not name:
        return 0.0
    return next((pace for known, pace in _STEP_S.items() if known in name), _OTHER_GPU_STEP_S)


def model_names(folder: str, input_dir: Path) -> list[str]:
    """Return the models of a folder as loaders list them: files below `models`, and with a GPU well-known names.

    Args:
        folder: E.g. `vae` or `diffusion_models`.
        input_dir: Folder of uploads; `models` lies beside it.
    """
    known = _MODEL_FILES.get(folder, ()) if gpu() else ()
    return sorted({*known, *listed(input_dir.parent / "models" / folder, frozenset())})


def simulated_before(prompt: Mapping[str, Any], node_id: str) -> list[str]:
    """Return the sorted classes without which a node's result would not be there and which are simulated."""
    found: set[str] = set()
    seen: set[str] = set()
    pending = [node_id]
    while pending:
        current = pending.pop()
        if current in seen or current not in prompt:
            continue
        seen.add(current)
        node = prompt[current]
        if _is_simulated(node):
            found.add(node["class_type"])
        pending.extend(_linked(node.get("inputs", {})))
    return sorted(found)


def _is_simulated(node: Mapping[str, Any]) -> bool:
    if node.get("class_type") != "VAELoader":
        return node.get("class_type") in SIMULATED
    name: object = node.get("inputs", {}).get("vae_name")
    return name != PIXEL_SPACE


def _linked(inputs: Mapping[str, Any]) -> Iterator[str]:
    for value in inputs.values():
        if isinstance(value, list) and len(value) == 2 and isinstance(value[0], str):
            yield value[0]
