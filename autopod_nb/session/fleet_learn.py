"""From what the ledger holds to what the fleet rule goes by. Pure."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from types import MappingProxyType

from autopod_nb.comfyui.workflow import WorkflowTemplate
from autopod_nb.pods.fleet_estimate import Estimates, Run
from autopod_nb.session.fleet_size import job_size
from autopod_nb.session.fleet_state import Known
from autopod_nb.storage.ran import RanRow


def learn(
    templates: Mapping[str, WorkflowTemplate], rows: Sequence[RanRow], boots: Mapping[str, tuple[float, ...]]
) -> Known:
    """Know what earlier jobs and boots took.

    Args:
        templates: those that were looked up, by the names that jobs give them.
        rows: their jobs that ended well, oldest first.
        boots: GPU → seconds of boots.
    """
    runs = [(row, _run(row, templates[row.template])) for row in rows if row.template in templates]
    warm_places = {(row.template, row.gpu_type) for row, _ in runs if not row.cold}
    # a run that loaded its models first says little of the next one; where there is none else, it is all that is known
    estimates = Estimates(run for row, run in runs if not row.cold or (row.template, row.gpu_type) not in warm_places)
    return Known(
        templates=frozenset(templates),
        estimates=estimates,
        loads=MappingProxyType(_loads(runs, warm_places, estimates)),
        ways=MappingProxyType(_ways(rows)),
        boots=MappingProxyType(dict(boots)),
    )


def _run(row: RanRow, template: WorkflowTemplate) -> Run:
    return Run(template=row.template, gpu=row.gpu_type, size=job_size(template, row.params), seconds=row.seconds)


def _loads(
    runs: Sequence[tuple[RanRow, Run]], warm_places: set[tuple[str, str]], estimates: Estimates
) -> dict[str, float]:
    """How much longer jobs took that found other models on the pod, or none."""
    more: dict[str, list[float]] = {}
    for row, run in runs:
        if row.cold and (row.template, row.gpu_type) in warm_places:
            extra_s = run.seconds - estimates.expected_s(run.template, run.gpu, run.size)
            more.setdefault(run.template, []).append(max(0.0, extra_s))
    return {template: statistics.median(found) for template, found in more.items()}


def _ways(rows: Sequence[RanRow]) -> dict[str, tuple[float, float]]:
    by_template: dict[str, list[RanRow]] = {}
    for row in rows:
        by_template.setdefault(row.template, []).append(row)
    return {
        template: (statistics.median(row.up_s for row in found), statistics.median(row.down_s for row in found))
        for template, found in by_template.items()
    }
