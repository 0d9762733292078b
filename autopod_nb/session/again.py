"""A job once more, under another name: pure."""

from __future__ import annotations

from collections.abc import Container
from dataclasses import replace
from itertools import count
from types import MappingProxyType

from autopod_nb.jobs.schema import LONGEST_ID
from autopod_nb.models.job import JobSpec

_FOLDER = "outputs"  # where results of jobs go that name no place


def next_id(job_id: str, known: Container[str]) -> str:
    """The name of a job that is run once more: ``portrait-2``, then ``-3``.

    The number of a job that was itself run once more is counted on, not added to; that of a job of a sweep is no such
    number.

    Args:
        job_id: the job.
        known: the names that are taken.
    """
    stem, _, number = job_id.rpartition("-")
    base = stem if number.isdigit() and number[:1] != "0" and stem in known else job_id
    endings = (f"-{number}" for number in count(2))
    return next(name for end in endings if (name := base[: LONGEST_ID - len(end)] + end) not in known)


def once_more(spec: JobSpec, job_id: str) -> JobSpec:
    """The same job under another name; it belongs to no sweep.

    Results that lie in the job's own folder, ``outputs/JOB_ID``, get another folder; any other path stays, and what is
    there already is never overwritten: the new file is called ``-2``.
    """
    outputs = dict(spec.outputs)
    for name, path in spec.outputs.items():
        if (path.parent.parent.name, path.parent.name) == (_FOLDER, spec.job_id):
            outputs[name] = path.parent.with_name(job_id) / path.name
    alone = replace(spec, job_id=job_id, batch="", swept=MappingProxyType({}), lines=MappingProxyType({}))
    return replace(alone, outputs=MappingProxyType(outputs))
