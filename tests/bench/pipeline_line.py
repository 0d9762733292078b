"""Pods on this machine behind a line that takes its time, and the job that the rows about the pipeline are made of."""

from __future__ import annotations

import json
import math
import threading
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import requests
from PIL import Image

from autopod_nb.clock import Clock
from autopod_nb.comfyui.client import ComfyClient
from tests.fakes.relayed import Relayed, RelayProcess
from tests.session.live import REAL

_A40_STEP_S = 0.18
_WAIT_S = 10.0
SAVER = "3"


class DelayedPods(Relayed[RelayProcess]):
    """The local provider, with a relay on the way to each pod's SSH server, in a process of its own.

    Args:
        folder: as of the local one.
        clock: the same.
        delay_ms: each way.
    """

    def __init__(self, folder: Path, *, clock: Clock, delay_ms: float) -> None:
        super().__init__(folder, clock=clock, make_way=lambda address: RelayProcess(address.port, delay_ms))


@dataclass(frozen=True, slots=True, kw_only=True)
class Work:
    """A job that renders for *seconds* without work for the machine, and gives back what it got, turned to negative.

    Attributes:
        megabytes: of what it takes and of what it gives, each, of 10⁶ bytes.
        seconds: of a simulated sampler.
    """

    megabytes: float
    seconds: float

    @property
    def side_px(self) -> int:
        """Of a square picture that is as large as that without compression."""
        return round(math.sqrt(self.megabytes * 1e6 / 3))

    def graph(self, image: object, seed: object) -> dict[str, Any]:
        """The workflow in API format."""
        sampler: dict[str, Any] = {
            "model": ["4", 0],
            "positive": ["5", 0],
            "negative": ["5", 0],
            "latent_image": ["6", 0],
            "seed": seed,
            "steps": max(1, round(self.seconds / _A40_STEP_S)),
            "cfg": 1.0,
            "sampler_name": "euler",
            "scheduler": "normal",
            "denoise": 1.0,
        }
        saved = {"images": ["2", 0], "filename_prefix": "bench/negative", "fps": 1.0, "compress_level": 0}
        return {
            "1": _node("LoadImage", image=image),
            "2": _node("ImageInvert", image=["1", 0]),
            SAVER: _node("SaveAnimatedPNG", "output.picture", **saved),
            "4": _node("CheckpointLoaderSimple", ckpt_name="sd_xl_base_1.0.safetensors"),
            "5": _node("CLIPTextEncode", text="a harbour", clip=["4", 1]),
            "6": _node("EmptyLatentImage", width=64, height=64, batch_size=1),
            "7": _node("KSampler", **sampler),
            "8": _node("VAEDecode", samples=["7", 0], vae=["4", 2]),
            "9": _node("PreviewImage", images=["8", 0]),
        }

    def template(self, path: Path) -> Path:
        """Write the workflow with its placeholders."""
        path.write_text(json.dumps(self.graph("{input.image}", "{param.seed}")))
        return path

    def pictures(self, folder: Path, count: int, *, seed: int) -> list[Path]:
        """So many photographs that nobody has seen."""
        folder.mkdir(parents=True, exist_ok=True)
        return [self._picture(folder / f"{seed + number}.png", seed + number) for number in range(count)]

    def _picture(self, path: Path, seed: int) -> Path:
        shape = (self.side_px, self.side_px, 3)
        pixels = np.frombuffer(np.random.default_rng(seed).bytes(shape[0] * shape[1] * 3), dtype=np.uint8)
        Image.fromarray(pixels.reshape(shape)).save(path, compress_level=0)
        return path

    def check(self, pictures: Sequence[Path], results: Sequence[Path]) -> None:
        """That each result is the negative of its picture, and as large as it is to be.

        Raises:
            RuntimeError: it is something else.
        """
        if len(pictures) != len(set(results)):
            raise RuntimeError(f"{len(set(results))} files came instead of {len(pictures)}")
        for picture, result in zip(pictures, results, strict=True):
            with Image.open(picture) as before, Image.open(result) as after:
                negative = 255 - np.asarray(before, dtype=np.int16)
                off = np.abs(negative - np.asarray(after.convert("RGB"))).max()  # 1 by rounding
            if off > 1 or result.stat().st_size < self.megabytes * 0.99e6:
                raise RuntimeError(f"{result.name} is not what was to be made of {picture.name}")


def _node(kind: str, title: str = "", **inputs: object) -> dict[str, Any]:
    return {"class_type": kind, "inputs": inputs, "_meta": {"title": title or kind}}


def gaps_ms(port: int, prompt_ids: Sequence[str]) -> list[float]:
    """Between each of these prompts and the next, by the server's own times: end of one to start of the next.

    Args:
        port: of ComfyUI itself, without a line between.
        prompt_ids: in the order in which they ran.

    Raises:
        RuntimeError: they did not run in this order.
    """
    spans = [_span(port, prompt_id) for prompt_id in prompt_ids]
    gaps = [float(after[0] - before[1]) for before, after in pairwise(spans)]
    if any(gap < 0 for gap in gaps):
        raise RuntimeError(f"the jobs did not run one after the other: {gaps}")
    return gaps


def _span(port: int, prompt_id: str) -> tuple[int, int]:
    """When a prompt began and ended, Unix milliseconds."""
    body = requests.get(f"http://127.0.0.1:{port}/history/{prompt_id}", timeout=30).json()
    times = {kind: data["timestamp"] for kind, data in body[prompt_id]["status"]["messages"] if "timestamp" in data}
    if "execution_success" not in times:
        raise RuntimeError(f"prompt {prompt_id} did not succeed: {list(times)}")
    return times["execution_start"], times["execution_success"]


def until_idle(port: int, within_s: float) -> None:
    """Wait until a server has nothing to do.

    Raises:
        RuntimeError: it has not come to rest in this time.
    """
    pause = threading.Event()
    with closing(ComfyClient(f"http://127.0.0.1:{port}", clock=REAL)) as client:
        for _ in range(int(within_s / 0.2)):
            if not client.queue_remaining():
                return
            pause.wait(0.2)
    raise RuntimeError(f"the server did not come to rest within {within_s:.0f} s")
