"""An image-to-video graph with models, for whoever runs it."""

from __future__ import annotations

from typing import Any

WIDTH, HEIGHT, FRAMES = 96, 64, 5


def node(name: str, **inputs: object) -> dict[str, Any]:
    return {"class_type": name, "inputs": inputs}


def wan(seed: int = 5, *, last: dict[str, Any]) -> dict[str, Any]:
    """Return an image-to-video graph as the real server would take it, ending in `last` as node 20 behind 11."""
    return {
        "1": node("LoadImage", image="start.png"),
        "2": node("UNETLoader", unet_name="wan2.1_i2v_480p_14B_fp16.safetensors", weight_dtype="default"),
        "3": node("CLIPLoader", clip_name="umt5_xxl_fp16.safetensors", type="wan"),
        "4": node("VAELoader", vae_name="wan_2.1_vae.safetensors"),
        "5": node("CLIPTextEncode", clip=["3", 0], text="wind"),
        "6": node("CLIPTextEncode", clip=["3", 0], text="blurry"),
        "7": node("ModelSamplingSD3", model=["2", 0], shift=8.0),
        "8": node("CLIPVisionLoader", clip_name="clip_vision_h.safetensors"),
        "9": node("CLIPVisionEncode", clip_vision=["8", 0], image=["1", 0], crop="none"),
        "10": node(
            "WanImageToVideo",
            positive=["5", 0],
            negative=["6", 0],
            vae=["4", 0],
            width=WIDTH,
            height=HEIGHT,
            length=FRAMES + 2,  # comes back as a multiple of four and one
            batch_size=1,
            start_image=["1", 0],
            clip_vision_output=["9", 0],
        ),
        "12": node(
            "KSampler",
            model=["7", 0],
            seed=seed,
            steps=4,
            cfg=6.0,
            sampler_name="uni_pc",
            scheduler="simple",
            positive=["10", 0],
            negative=["10", 1],
            latent_image=["10", 2],
            denoise=1.0,
        ),
        "11": node("VAEDecode", samples=["12", 0], vae=["4", 0]),
        "13": node("CreateVideo", images=["11", 0], fps=16.0),
        "20": last,
    }


SAVE_PNG = node("SaveImage", images=["11", 0], filename_prefix="f")
SAVE_MP4 = node("SaveVideo", video=["13", 0], filename_prefix="v", format="auto", codec="auto")
