"""How far a job is, from what ComfyUI tells: pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import TypeAlias

from autopod_nb.comfyui.monitor_events import PromptRunning
from autopod_nb.comfyui.workflow import WorkflowTemplate
from autopod_nb.models.event import NodesCached, NodeStarted, PromptProgress, PromptStarted, StepProgress
from autopod_nb.models.snapshot import Progress

_MIN_SHARE = 0.03  # an estimate from less than this share of the work would be noise; a guess
_MIN_S = 0.3
_PACE_SHARE = 0.5  # of a node: a pace from less would be noise; a guess
_DOUBT = 0.3  # how far an even run is off at its beginning; a guess
_MOST_UNEVEN = 10.0


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
        mark: how much was done, and when, as the pace was measured last: nodes, monotonic seconds.
        paces: the least and the most seconds that a node's worth of work took so far; None as long as unknown.
        unknown: the stream was cut, or there never was one, so nothing is known since.
    """

    share: Mapping[str, float] = field(default_factory=lambda: MappingProxyType({}))
    node_id: str = ""
    step: float = 0
    steps: float = 0
    started_s: float | None = None
    node_since_s: float = 0.0
    moved_s: float = 0.0
    mark: tuple[float, float] = (0.0, 0.0)
    paces: tuple[float, float] | None = None
    unknown: bool = False


Advance: TypeAlias = PromptStarted | PromptRunning | NodesCached | NodeStarted | PromptProgress | StepProgress
"""What tells how far a prompt is."""


def advance(track: Track, event: Advance, now_s: float) -> Track:
    """What is known after *event*, which came at *now_s* monotonic seconds."""
    match event:
        case PromptStarted():
            return replace(track, started_s=now_s, unknown=False, mark=(sum(track.share.values()), now_s))
        case PromptRunning():
            return replace(track, started_s=now_s if track.started_s is None else track.started_s, unknown=True)
        case NodesCached(node_ids=cached):
            share = {**track.share, **dict.fromkeys(cached, 1.0)}
            return replace(track, share=MappingProxyType(share), mark=(sum(share.values()), now_s))
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
            return _measure(replace(track, share=MappingProxyType(share), moved_s=moved_s), now_s)
        case StepProgress(node_id=node_id, value=value, maximum=maximum):
            track = _enter(track, node_id, now_s)
            return replace(track, step=value, steps=maximum)


def _measure(track: Track, now_s: float) -> Track:
    """How long the work since the last measurement took, once it is enough of it."""
    done, marked_s = track.mark
    more, seconds = sum(track.share.values()) - done, now_s - marked_s
    if track.started_s is None or more < _PACE_SHARE or seconds < _MIN_S:
        return track
    pace = seconds / more
    least, most = track.paces or (pace, pace)
    return replace(track, mark=(done + more, now_s), paces=(min(least, pace), max(most, pace)))


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
    left_s = None if track.unknown or done < _MIN_SHARE or running_s < _MIN_S else running_s * (1 - done) / done
    low_s, high_s = left_range(left_s, done, paces=track.paces)
    return Progress(
        percent=None if track.unknown else round(done * 100, 1),
        node_id=track.node_id,
        node_title=template.node_title(track.node_id) if track.node_id else "",
        step=track.step,
        steps=track.steps,
        frames_done=frames_done,
        frames=frames,
        rate_per_s=None if track.unknown else _rate(track, frames_done, now_s),
        left_s=left_s,
        left_low_s=low_s,
        left_high_s=high_s,
    )


def left_range(
    left_s: float | None,
    done: float,
    *,
    paces: tuple[float, float] | None = None,
    usual_left_s: float | None = None,
    usual_s: float = 0.0,
) -> tuple[float | None, float | None]:
    """How much less and how much more than estimated may be left.

    The doubt is largest at the beginning and gone at the end: it shrinks in proportion to the work that is not done.
    It grows with how much the pace varied so far, for what is not done may go as slowly as what went most slowly; and
    it reaches as far as what earlier runs say, the less the more of this run is known.

    Args:
        left_s: the estimate; None if there is none.
        done: how much of the work is done, 0 to 1.
        paces: the least and the most seconds that the same share of the work took so far; None if that is not known.
        usual_left_s: what would be left by earlier runs; None without any.
        usual_s: how long those took; an estimate that rests on them alone is as doubtful as they are long.

    Returns:
        The least and the most seconds that may be left: never above and never below the estimate.
    """
    if left_s is None:
        return None, None
    ahead = min(1.0, max(0.0, 1.0 - done))
    least, most = paces if paces is not None and paces[0] > 0 else (1.0, 1.0)
    doubt = ahead * _DOUBT * min(_MOST_UNEVEN, most / least)
    low_s, high_s = left_s / (1 + doubt), left_s * (1 + doubt)
    if usual_left_s is not None:
        known_s = left_s + (usual_left_s - left_s) * ahead
        low_s, high_s = min(low_s, known_s), max(high_s, known_s)
    high_s = max(high_s, left_s + usual_s * _DOUBT * ahead)
    return max(0.0, min(low_s, left_s)), max(high_s, left_s)


def _rate(track: Track, frames_done: int, now_s: float) -> float | None:
    """Frames a second where the workflow counts frames, else steps a second of the node that runs."""
    if frames_done and track.started_s is not None:
        frames_s = track.moved_s - track.started_s
        return frames_done / frames_s if frames_s > _MIN_S else None
    node_s = now_s - track.node_since_s
    return track.step / node_s if track.steps and track.step and node_s > _MIN_S else None
