"""Cells of the notebooks that the browser opens."""

from __future__ import annotations

from pathlib import Path

from tests.browser.lab import ROOT

LOAD = "%load_ext autopod_nb"
PORTRAIT = ROOT / "jobs" / "inputs" / "portrait.jpg"


def video_cell(options: str = "", *, size: int = 256) -> str:
    """A cell that makes a video, square, of so many pixels: 1024 takes some seconds."""
    params = f"params:\n  width: {size}\n  height: {size}"
    return f"%%comfyjob img2vid-basic {options}\ninputs:\n  image: {PORTRAIT}\n{params}"


def sampler_cell(template: Path, options: str = "", *, steps: int = 30) -> str:
    """A cell with a sampler that shows previews; 0.18 s a step, without work for this machine.

    Args:
        template: ``nb.template("slow")``.
        options: of the first line.
        steps: of the sampler.
    """
    return f"%%comfyjob {template} {options}\nparams:\n  steps: {steps}"
