"""What a fleet would do with some jobs if it were wished for now. Pure; nothing comes of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from types import MappingProxyType

from autopod_nb.comfyui.workflow import WorkflowTemplate
from autopod_nb.models.job import JobSpec
from autopod_nb.pods.fleet import decide
from autopod_nb.pods.fleet_facts import Decisions
from autopod_nb.session.commands import WishFleet
from autopod_nb.session.events import Moment
from autopod_nb.session.fleet_sight import Sight
from autopod_nb.session.fleet_state import FleetPlan, Known
from autopod_nb.session.fleet_steps import wish
from autopod_nb.session.state import JobData, SessionState
from autopod_nb.session.step import Step


def forecast(
    state: SessionState,
    plan: FleetPlan,
    jobs: Sequence[tuple[JobSpec, WorkflowTemplate]],
    known: Known,
    now: Moment,
) -> Decisions:
    """The first decisions of the rule, with these jobs behind those that wait.

    Args:
        state: of the session; it is not changed.
        plan: the wish.
        jobs: not submitted yet.
        known: what earlier runs of their templates took.
        now: the moment.
    """
    made = {spec.job_id: _job(spec, template, now) for spec, template in jobs}
    names = (*state.queue, *(name for name in made if name not in state.queue))
    with_jobs = replace(state, jobs=MappingProxyType({**state.jobs, **made}), queue=names)
    step = Step(with_jobs, now)
    wish(step, WishFleet(plan=plan, batch=True))
    if step.fleet is None:
        return Decisions()
    return decide(Sight(step, step.fleet, known).fleet())


def _job(spec: JobSpec, template: WorkflowTemplate, now: Moment) -> JobData:
    return JobData(
        spec=spec,
        template=template,
        uid="",
        prompt_id="",
        session_id="",
        pod_wish=None,
        submitted=now,
        recorded=True,
    )
