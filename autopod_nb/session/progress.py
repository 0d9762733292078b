"""How far a job is, from what ComfyUI tells: pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from types import MappingProxyType

from autopod_nb.comfyui.workflow import WorkflowTemplate
from autopod_nb.models.event import NodesCached, NodeStarted, PromptProgress, PromptStarted, StepProgress
from autopod_nb.models.snapshot import Progress

_MIN_SHARE = 0.03  # an estimate from less than this share of the work would be noise; a guess
_MIN_S = 0.3


@dataclass(frozen=True, slots=True, kw_only=True)
class Track:
    """What is known of one attempt.

    Attributes:
        share: node id of the workflow → how much of it is done, 0 to 1.
        node_id: the node that runs, empty if none.
        step: its own bar.
        steps: the length of that bar, 0 if it has none.
        started_s: when the server began, monotonic seconds; None before.
        node_since_s: when the node that runs began.
        moved_s: when a node was finished last: between two frames a rate does not sink.
        unknown: the stream was cut, so nothing is known since.
    """

    share: Mapping[str, float] = field(default_factory=lambda: MappingProxyType({}))
    node_id: str = ""
    step: float = 0
    steps: float = 0
    started_s: float | None = None
    node_since_s: float = 0.0
    moved_s: float = 0.0
    unknown: bool = False


def advance(
    track: Track, event: PromptStarted | NodesCached | NodeStarted | PromptProgress | StepProgress, now_s: float
) -> Track:
    """What is known after *event*, which came at *now_s* monotonic seconds."""
    match event:
        case PromptStarted():
            return replace(track, started_s=now_s, unknown=False)
        case NodesCached(node_ids=cached):
            return replace(track, share=MappingProxyType({**track.share, **dict.fromkeys(cached, 1.0)}))
        case NodeStarted(display_node_id=node_id):
            return _enter(track, node_id, now_s)
        case PromptProgress(nodes=nodes):
            share = dict(track.share)
            for node in nodes:  # inner nodes of an expanded one share its place: the least done of them counts
                done = 1.0 if node.finished else min(1.0, node.value / node.maximum) if node.maximum else 0.0
                share[node.display_node_id] = done
            finished = sum(1 for done in share.values() if done >= 1.0)
            before = sum(1 for done in track.share.values() if done >= 1.0)
            moved_s = now_s if finished > before else track.moved_s
            return replace(track, share=MappingProxyType(share), moved_s=moved_s)
        case StepProgress(node_id=node_id, value=value, maximum=maximum):
            track = _enter(track, node_id, now_s)
            return replace(track, step=value, steps=maximum)


def _enter(track: Track, node_id: str, now_s: float) -> Track:
    if track.node_id == node_id:
        return track
    return replace(track, node_id=node_id, step=0, steps=0, node_since_s=now_s)


def show(track: Track, template: WorkflowTemplate, frame_nodes: Sequence[str], now_s: float) -> Progress:
    """The same for a person. The share of a node in the whole is one in the number of nodes: no more is known of it."""
    total = max(1, len(template.graph))
    done = min(1.0, sum(track.share.get(node_id, 0.0) for node_id in template.graph) / total)
    frames = len(frame_nodes)
    frames_done = sum(1 for node_id in frame_nodes if track.share.get(node_id, 0.0) >= 1.0)
    running_s = 0.0 if track.started_s is None else max(0.0, now_s - track.started_s)
    return Progress(
        percent=None if track.unknown else round(done * 100, 1),
        node_id=track.node_id,
        node_title=template.node_title(track.node_id) if track.node_id else "",
        step=track.step,
        steps=track.steps,
        frames_done=frames_done,
        frames=frames,
        rate_per_s=None if track.unknown else _rate(track, frames_done, now_s),
        left_s=None if track.unknown or done < _MIN_SHARE or running_s < _MIN_S else running_s * (1 - done) / done,
    )


def _rate(track: Track, frames_done: int, now_s: float) -> float | None:
    """Frames a second where the workflow counts frames, else steps a second of the node that runs."""
    if frames_done and track.started_s is not None:
        frames_s = track.moved_s - track.started_s
        return frames_done / frames_s if frames_s > _MIN_S else None
    node_s = now_s - track.node_since_s
    return track.step / node_s if track.steps and track.step and node_s > _MIN_S else None
