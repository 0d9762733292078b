"""Nodes for models: loaders, encoders and samplers. All of them are a simulation (see `simulation` and `dreams`)."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np

from .base import NodeContext, NodeResult
from .dreams import previews
from .node import Node
from .resize import scale
from .simulation import model_names, step_s
from .values import Conditioning, Floats, Latent, Model, Vae

_GREY = np.full(3, 0.5, dtype=np.float32)


def load_model(_ctx: NodeContext, **names: str) -> NodeResult:
    """Take a model by the name of its file, the first input."""
    return NodeResult((Model(next(iter(names.values()))),))


def load_checkpoint(_ctx: NodeContext, *, ckpt_name: str) -> NodeResult:
    """Take model, encoder and VAE out of one file."""
    return NodeResult((Model(ckpt_name), Model(ckpt_name), Vae(ckpt_name)))


def pass_model(_ctx: NodeContext, *, model: Model, **_settings: object) -> NodeResult:
    """Leave a model as it is; the simulation has no use for the settings."""
    return NodeResult((model,))


def load_lora(_ctx: NodeContext, *, model: Model, clip: Model, **_settings: object) -> NodeResult:
    """Leave model and encoder as they are."""
    return NodeResult((model, clip))


def encode_text(_ctx: NodeContext, *, text: str, clip: Model) -> NodeResult:  # noqa: ARG001 -- it stands for any encoder
    """Keep a text for the sampler."""
    return NodeResult((Conditioning(text),))


def zero_out(_ctx: NodeContext, *, conditioning: Conditioning) -> NodeResult:  # noqa: ARG001 -- nothing of it is left
    """Forget a text."""
    return NodeResult((Conditioning(""),))


def encode_vision(_ctx: NodeContext, *, clip_vision: Model, image: Floats, crop: str) -> NodeResult:  # noqa: ARG001 -- the simulation sees nothing
    """Stand for what an encoder sees in a picture."""
    return NodeResult((clip_vision,))


def empty_latent(_ctx: NodeContext, *, width: int, height: int, batch_size: int) -> NodeResult:
    """Make a latent without a picture."""
    return NodeResult((_latent(None, width, height, batch_size),))


def wan_image_to_video(
    _ctx: NodeContext,
    *,
    positive: Conditioning,
    negative: Conditioning,
    vae: Vae,  # noqa: ARG001 -- the simulation needs no VAE here
    width: int,
    height: int,
    length: int,
    batch_size: int,  # noqa: ARG001 -- decoding shows the first video of a batch
    start_image: Floats | None = None,
    clip_vision_output: Model | None = None,  # noqa: ARG001 -- the simulation sees nothing
) -> NodeResult:
    """Prepare a video that starts with a picture."""
    return NodeResult((positive, negative, _latent(start_image, width, height, _whole_length(length))))


def wan22_image_to_video(
    _ctx: NodeContext,
    *,
    vae: Vae,  # noqa: ARG001 -- the simulation needs no VAE here
    width: int,
    height: int,
    length: int,
    batch_size: int,  # noqa: ARG001 -- decoding shows the first video of a batch
    start_image: Floats | None = None,
) -> NodeResult:
    """Prepare a video that starts with a picture, for the small model of Wan 2.2."""
    return NodeResult((_latent(start_image, width, height, _whole_length(length)),))


def svd_image_to_video(
    _ctx: NodeContext, *, init_image: Floats, width: int, height: int, video_frames: int, **_settings: object
) -> NodeResult:
    """Prepare a video that starts with a picture, for Stable Video Diffusion."""
    latent = _latent(init_image, width, height, video_frames)
    return NodeResult((Conditioning(""), Conditioning(""), latent))


def _whole_length(length: int) -> int:
    """Return the frames that come back: video models count in fours after the first one."""
    return (length - 1) // 4 * 4 + 1


def _latent(start: Floats | None, width: int, height: int, frames: int) -> Latent:
    """Return a latent of equal frames, which share their memory."""
    picture = _GREY if start is None else scale(start[:1, ..., :3], width, height, "bilinear", "center")[0]
    pixels = np.broadcast_to(picture, (frames, height, width, 3))
    return Latent(pixels, simulated=True, blank=start is None)


def select_sampler(_ctx: NodeContext, *, sampler_name: str) -> NodeResult:
    """Take a sampler by its name."""
    return NodeResult((sampler_name,))


def ksampler(
    ctx: NodeContext,
    *,
    seed: int,
    steps: int,
    positive: Conditioning,
    latent_image: Latent,
    **_settings: object,
) -> NodeResult:
    """Act as if sampling: steps with previews at the pace of the GPU, then a picture that the seed moves."""
    return NodeResult((_sampled(ctx, replace(latent_image, seed=seed, text=positive.text), steps),))


def ksampler_advanced(
    ctx: NodeContext,
    *,
    add_noise: str,
    noise_seed: int,
    steps: int,
    positive: Conditioning,
    latent_image: Latent,
    start_at_step: int,
    end_at_step: int,
    **_settings: object,
) -> NodeResult:
    """Act as if sampling a part of the steps; without noise of its own it goes on with what another one began."""
    latent = replace(latent_image, text=positive.text)
    if add_noise == "enable" or latent.seed is None:
        latent = replace(latent, seed=noise_seed)
    return NodeResult((_sampled(ctx, latent, min(end_at_step, steps) - start_at_step),))


def _sampled(ctx: NodeContext, latent: Latent, steps: int) -> Latent:
    pause_s = step_s()
    for step, preview in enumerate(previews(latent, steps), start=1):
        time.sleep(pause_s)  # short, so that an interrupt is heard soon
        ctx.progress(step, steps, preview)
    return replace(latent, simulated=True)


def _models(folder: str) -> Callable[[Path], list[str]]:
    return partial(model_names, folder)


_CHECKPOINTS = {"ckpt_name": _models("checkpoints")}
_LORAS = {"lora_name": _models("loras")}
_ENCODERS = _models("text_encoders")

NODES = (
    Node("CheckpointLoaderSimple", load_checkpoint, choices=_CHECKPOINTS),
    Node("ImageOnlyCheckpointLoader", load_checkpoint, choices=_CHECKPOINTS),
    Node("UNETLoader", load_model, choices={"unet_name": _models("diffusion_models")}),
    Node("CLIPLoader", load_model, choices={"clip_name": _ENCODERS}),
    Node("DualCLIPLoader", load_model, choices={"clip_name1": _ENCODERS, "clip_name2": _ENCODERS}),
    Node("CLIPVisionLoader", load_model, choices={"clip_name": _models("clip_vision")}),
    Node("LoraLoader", load_lora, choices=_LORAS),
    Node("LoraLoaderModelOnly", pass_model, choices=_LORAS),
    Node("ModelSamplingSD3", pass_model),
    Node("VideoLinearCFGGuidance", pass_model),
    Node("CLIPTextEncode", encode_text),
    Node("ConditioningZeroOut", zero_out),
    Node("CLIPVisionEncode", encode_vision),
    Node("EmptyLatentImage", empty_latent),
    Node("EmptySD3LatentImage", empty_latent),
    Node("WanImageToVideo", wan_image_to_video),
    Node("Wan22ImageToVideoLatent", wan22_image_to_video),
    Node("SVD_img2vid_Conditioning", svd_image_to_video),
    Node("KSamplerSelect", select_sampler),
    Node("KSampler", ksampler),
    Node("KSamplerAdvanced", ksampler_advanced),
)
