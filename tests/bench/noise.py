"""Jobs that make a noisy picture in some milliseconds, and the same done by plain requests over the same tunnel."""

from __future__ import annotations

import threading
import time
import uuid
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import requests

from autopod_nb.session.commands import PodRequest
from autopod_nb.session.manager import Session

_POLL_S = 0.005


def graph(seed: object, side_px: int) -> dict[str, Any]:
    """A workflow whose output is called ``picture``."""
    grey = {"width": side_px, "height": side_px, "batch_size": 1, "color": 8421504}
    noise = {"image": ["1", 0], "seed": seed, "strength": 0.5}
    saved = {"images": ["2", 0], "filename_prefix": "bench/picture"}
    return {
        "1": {"class_type": "EmptyImage", "inputs": grey},
        "2": {"class_type": "ImageAddNoise", "inputs": noise},
        "3": {"class_type": "SaveImage", "inputs": saved, "_meta": {"title": "output.picture"}},
    }


def connect(session: Session) -> int:
    """Rent a pod. Returns the local port of its ComfyUI."""
    pod_id = session.connect(session.plan(PodRequest()))
    snapshot = session.snapshot
    while (port := snapshot.pods[pod_id].local_port) is None:
        if snapshot.pods[pod_id].over:
            raise RuntimeError(snapshot.pods[pod_id].error)
        snapshot = session.wait_newer(snapshot.number, 1.0)
    return port


def plain(port: int, folder: Path, seeds: Sequence[int], side_px: int) -> float:
    """Seconds that a short script would take at its best: post everything, then take what is ready, in order.

    Raises:
        RuntimeError: a picture is missing.
    """
    folder.mkdir()
    url = f"http://127.0.0.1:{port}"
    client_id = str(uuid.uuid4())
    pause = threading.Event()
    begin = time.perf_counter()
    with requests.Session() as http:
        prompt_ids = []
        for seed in seeds:
            body = {"prompt": graph(seed, side_px), "client_id": client_id}
            prompt_ids.append(http.post(f"{url}/prompt", json=body, timeout=30).json()["prompt_id"])
        for prompt_id in prompt_ids:
            while not (history := http.get(f"{url}/history/{prompt_id}", timeout=30).json()):
                pause.wait(_POLL_S)
            for picture in history[prompt_id]["outputs"]["3"]["images"]:
                file = http.get(f"{url}/view", params=picture, timeout=30)
                file.raise_for_status()
                (folder / picture["filename"]).write_bytes(file.content)
    took_s = time.perf_counter() - begin
    count_pictures(folder, len(seeds))
    return took_s


def count_pictures(folder: Path, count: int) -> None:
    """Different seeds make different pictures, and all of them are there.

    Raises:
        RuntimeError: they are not.
    """
    found = {path.read_bytes() for path in folder.glob("*.png")}
    if len(found) != count:
        raise RuntimeError(f"{len(found)} different files came instead of {count}")
