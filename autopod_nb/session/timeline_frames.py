"""How long a frame took to render, by GPU and template.

The ledger does not hold how many frames a job made. They are counted as the workflow template, as it lies there now,
counts them: its nodes titled ``frame N``, else the number ``length`` of a node whose class makes a video, filled with
the values of the job. Where neither says it, or the template is gone, the job is left out and counted as left out.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path

from autopod_nb.comfyui.workflow import WorkflowTemplate, fill, load_template
from autopod_nb.errors import TemplateError
from autopod_nb.models.job import JobSpec, JobState
from autopod_nb.models.money import MoneyKind
from autopod_nb.session.timeline import attempt_name, gpu_name
from autopod_nb.storage.columns import spec_from_json
from autopod_nb.storage.timeline import AttemptFacts, LedgerTimeline

_LENGTH = "length"  # frames of a clip, by the name that ComfyUI's video nodes share
_VIDEO = "video"


@dataclass(frozen=True, slots=True, kw_only=True)
class FrameTime:
    """A job that is done: what rendering took, from ComfyUI's begin to its end, without upload and download."""

    job: str
    frames: int
    seconds: Decimal

    @property
    def seconds_per_frame(self) -> Decimal:
        """Rounded to a millionth of a second."""
        return (self.seconds / self.frames).quantize(Decimal("0.000001"))


@dataclass(frozen=True, slots=True, kw_only=True)
class FrameGroup:
    """Jobs of one template on one kind of GPU; *kind* tells a simulated GPU from a real one."""

    kind: MoneyKind
    gpu: str
    template: str
    times: tuple[FrameTime, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class FrameTimes:
    """What is known of frames, and how many jobs that are done it could not be told of."""

    groups: tuple[FrameGroup, ...]
    left_out: int


def frame_times(found: LedgerTimeline) -> FrameTimes:
    """Seconds a frame of every job that is done. Reads the workflow templates, each once."""
    pods = {each.attempt_key: found.pods[each.pod_id] for each in found.stretches}
    templates: dict[str, WorkflowTemplate | None] = {}
    groups: defaultdict[tuple[MoneyKind, str, str], list[FrameTime]] = defaultdict(list)
    left_out = 0
    for key, attempt in found.attempts.items():
        if attempt.state is not JobState.DONE:
            continue
        time = _frame_time(attempt, templates)
        if time is None:
            left_out += 1
        else:
            groups[pods[key].kind, gpu_name(pods[key]), attempt.template].append(time)
    kinds = list(MoneyKind)
    ordered = sorted(groups.items(), key=lambda item: (kinds.index(item[0][0]), *item[0][1:]))
    return FrameTimes(
        groups=tuple(
            FrameGroup(kind=kind, gpu=gpu, template=template, times=tuple(times))
            for (kind, gpu, template), times in ordered
        ),
        left_out=left_out,
    )


def _frame_time(attempt: AttemptFacts, templates: dict[str, WorkflowTemplate | None]) -> FrameTime | None:
    if attempt.running_us is None or attempt.made_us is None or attempt.template_path is None:
        return None
    path = attempt.template_path
    if path not in templates:
        templates[path] = _loaded(path)
    template = templates[path]
    frames = 0 if template is None else count_frames(template, spec_from_json(attempt.spec_json))
    seconds = Decimal(attempt.made_us - attempt.running_us).scaleb(-6)
    return FrameTime(job=attempt_name(attempt), frames=frames, seconds=seconds) if frames and seconds > 0 else None


def _loaded(path: str) -> WorkflowTemplate | None:
    try:
        return load_template(Path(path))
    except TemplateError:  # changed or gone since the job ran
        return None


def count_frames(template: WorkflowTemplate, spec: JobSpec) -> int:
    """How many frames the workflow makes with the values of the job; 0 if it does not say."""
    if template.frame_nodes:
        return len(template.frame_nodes)
    try:
        graph = fill(template, inputs=dict.fromkeys(template.inputs, ""), params=spec.params)
    except TemplateError:  # it has other parameters by now
        return 0
    lengths = [
        length
        for node in graph.values()
        if _VIDEO in node["class_type"].lower() and type(length := node["inputs"].get(_LENGTH)) is int
    ]
    return max(0, *lengths) if lengths else 0
