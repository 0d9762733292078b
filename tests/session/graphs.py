"""Small workflow templates for sessions with real pods."""

from __future__ import annotations

from typing import Any


def _node(kind: str, title: str = "", **inputs: object) -> dict[str, Any]:
    return {"class_type": kind, "inputs": inputs, "_meta": {"title": title or kind}}


def _saved(source: str) -> dict[str, Any]:
    return _node("SaveImage", "output.picture", images=[source, 0], filename_prefix="test/picture")


_GREY = _node("EmptyImage", width=32, height=32, batch_size=1, color=8421504)

GRAPHS: dict[str, dict[str, Any]] = {
    # a picture of its own for each seed, in some milliseconds
    "noise": {
        "1": _GREY,
        "2": _node("ImageAddNoise", image=["1", 0], seed="{param.seed=1}", strength="{param.strength=0.5}"),
        "3": _saved("2"),
    },
    # a simulated sampler: at the A40's pace a step takes 0.18 s, without work for the machine
    "slow": {
        "1": _node("CheckpointLoaderSimple", ckpt_name="sd_xl_base_1.0.safetensors"),
        "2": _node("CLIPTextEncode", text="a harbour", clip=["1", 1]),
        "3": _node("EmptyLatentImage", width=64, height=64, batch_size=1),
        "4": _node(
            "KSampler",
            "Sampler",
            model=["1", 0],
            positive=["2", 0],
            negative=["2", 0],
            latent_image=["3", 0],
            seed="{param.seed=1}",
            steps="{param.steps=2000}",
            cfg=1.0,
            sampler_name="euler",
            scheduler="normal",
            denoise=1.0,
        ),
        "5": _node("VAEDecode", samples=["4", 0], vae=["1", 2]),
        "6": _saved("5"),
    },
    # tiles that overlap by half their size: ComfyUI divides by zero
    "fails": {
        "1": _node("EmptyImage", width=512, height=512, batch_size=1, color=8421504),
        "2": _node("VAELoader", vae_name="pixel_space"),
        "3": _node(
            "VAEEncodeTiled",
            "Divides by zero",
            pixels=["1", 0],
            vae=["2", 0],
            tile_size=64,
            overlap=32,
            temporal_size=64,
            temporal_overlap=8,
        ),
        "4": _node("VAEDecode", samples=["3", 0], vae=["2", 0]),
        "5": _saved("4"),
    },
    "unknown_class": {"1": _GREY, "2": _node("AutopodNoSuchNode", image=["1", 0]), "3": _saved("2")},
}
