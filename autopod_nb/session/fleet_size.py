"""How large a job is, and a first guess at how long it takes, from the values that are filled in. Pure."""

from __future__ import annotations

import math
from collections.abc import Mapping

from autopod_nb.comfyui.workflow import WorkflowTemplate
from autopod_nb.models.job import JsonValue

_FACTORS = (("width",), ("height",), ("frames", "num_frames", "length", "frame_count"), ("steps", "num_steps"))
_USUAL = (1024.0, 1024.0, 1.0, 20.0)  # where a template does not say; a guess
_BATCH = ("batch_size", "count")
_BASE_S = 5.0  # guesses: what a job takes beside its sampler, and a megapixel and step of a large image model on an A40
_STEP_S = 0.33
_MEGAPIXEL = 1024.0 * 1024.0


def job_size(template: WorkflowTemplate, params: Mapping[str, JsonValue]) -> float:
    """Frames × pixels × steps, as far as the template has names for them; in a unit of that template alone.

    Args:
        template: its placeholders and their defaults.
        params: what the job sets; ``NODE_ID.input`` counts by its last part.
    """
    return math.prod(factor for factor in _factors(template, params) if factor is not None)


def guess_s(template: WorkflowTemplate, params: Mapping[str, JsonValue]) -> float:
    """Seconds of a job of a template that never ran: by pixels, frames and steps; a guess, on whatever GPU."""
    found = _factors(template, params)
    width, height, frames, steps = (
        usual if factor is None else factor for factor, usual in zip(found, _USUAL, strict=False)
    )
    frames = max(frames, float(len(template.frame_nodes)))
    return _BASE_S + _STEP_S * (width * height / _MEGAPIXEL) * frames * steps * (found[-1] or 1.0)


def _factors(template: WorkflowTemplate, params: Mapping[str, JsonValue]) -> list[float | None]:
    values: dict[str, float] = {}
    for name, value in (*template.params.items(), *params.items()):
        number = _number(value)
        if number is not None:
            values[name.rpartition(".")[2].lower()] = number
    return [next((values[name] for name in names if name in values), None) for names in (*_FACTORS, _BATCH)]


def _number(value: object) -> float | None:
    """A number above zero, also one written as text."""
    try:
        found = float(value) if isinstance(value, (int, float, str)) and not isinstance(value, bool) else 0.0
    except ValueError:
        return None
    return found if 0 < found < math.inf else None
