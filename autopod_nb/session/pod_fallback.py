"""The next choice, when a pod is not to be had or does not come up: pure, like all steps.

It is a pod of its own, with a name of its own: one intent is never answered by two pods. The one before it is gone
when it is asked for, and the jobs that wished for that one wish for this.
"""

from __future__ import annotations

from dataclasses import replace

from autopod_nb.models.snapshot import Level
from autopod_nb.session import books
from autopod_nb.session.events import IntentWritten
from autopod_nb.session.state import PodData
from autopod_nb.session.step import Step


def has_next(pod: PodData) -> bool:
    """Whether another is to be tried when this one is gone; not when a person or a limit wants its end."""
    return bool(pod.fallbacks) and pod.ending is None


def try_next(step: Step, pod: PodData) -> bool:
    """Ask for the next choice. Returns whether there was one."""
    if not has_next(pod):
        return False
    following = _following(pod, step)
    step.put_pod(replace(pod, replace=False, successor=following.pod_id))
    for job_id in step.queue:
        job = step.job(job_id)
        if job.pod_wish == pod.pod_id:
            step.put(replace(job, pod_wish=following.pod_id))
    where = f" ({following.offer.where})" if following.offer.where else ""
    text = f"Trying {following.offer.label}{where} instead, as pod {following.pod_id}."
    step.notice(Level.INFO, text, pod_id=following.pod_id)
    step.put_pod(following)
    step.record(*books.pod_intent(following, step.rules, step.limit_usd), then=IntentWritten(pod_id=following.pod_id))
    return True


def _following(pod: PodData, step: Step) -> PodData:
    """Ids are made from those of the first, so that the step needs no chance."""
    root, name = (text.removesuffix(f"-{pod.choice}") if pod.choice > 1 else text for text in (pod.pod_id, pod.name))
    choice = pod.choice + 1
    return PodData(
        pod_id=f"{root}-{choice}",
        name=f"{name}-{choice}",
        offer=pod.fallbacks[0],
        session_id=pod.session_id,
        idle_minutes=pod.idle_minutes,
        ends_after_batch=pod.ends_after_batch,
        requested=step.now,
        fallbacks=pod.fallbacks[1:],
        choice=choice,
        detached=pod.detached,
        limit_usd=pod.limit_usd,
    )
