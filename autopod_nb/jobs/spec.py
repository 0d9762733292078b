"""From a job file, a cell or Python to a checked :class:`JobSpec`.

All three have one schema; a ``sweep`` makes several jobs of one. ``$name`` takes a notebook variable in a cell only;
``$$name`` is the text ``$name`` in cells and files. Relative paths are relative to the current folder (not to that of
the job file), ``~`` is expanded.
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, replace
from datetime import datetime
from functools import partial
from pathlib import Path
from types import MappingProxyType

from autopod_nb.clock import default_clock
from autopod_nb.comfyui.workflow import find_template, load_template
from autopod_nb.errors import JobSpecError, nearest
from autopod_nb.jobs.body import Body, read_body
from autopod_nb.jobs.fault import Fault, Places, dotted, raise_faults
from autopod_nb.jobs.patterns import matching_files
from autopod_nb.jobs.schema import JobText, PodWishes, check_job, check_wishes
from autopod_nb.jobs.sweep import Point, expand, read_axes
from autopod_nb.jobs.variables import plain, take_variables
from autopod_nb.models.job import JobSpec, JsonValue, PodConfig

_NOT_IN_IDS = re.compile(r"[^A-Za-z0-9._-]+")


def job_id_for(template: str, *, now: datetime, token: str) -> str:
    """``TEMPLATE-yyyymmdd-hhmmss-TOKEN``, with what a job id cannot hold replaced.

    Args:
        template: name or path of the workflow template.
        now: its own time zone is used.
        token: tells jobs of one second apart.
    """
    name = _NOT_IN_IDS.sub("-", Path(template).name.removesuffix(".json"))[:36].strip("._-")
    return f"{name or 'job'}-{now:%Y%m%d-%H%M%S}-{token}"


def fresh_job_id(template: str) -> str:
    """A job id that no other job has: the time in UTC and six random hexadecimal digits."""
    return job_id_for(template, now=default_clock().now(), token=secrets.token_hex(3))


def read_job_file(path: Path, *, cwd: Path | None = None, new_id: Callable[[str], str] = fresh_job_id) -> JobSpec:
    """Read a job file that has no sweep; see :func:`read_jobs`."""
    return _only(read_jobs(path, cwd=cwd, new_id=new_id), "read_jobs")


def read_jobs(
    path: Path, *, cwd: Path | None = None, new_id: Callable[[str], str] = fresh_job_id
) -> tuple[JobSpec, ...]:
    """Read a job file, JSON (the only choice in a file called ``.json``) or YAML: one job, or those of its sweep.

    Args:
        path: the file.
        cwd: what relative paths in it are relative to; None for the current folder.
        new_id: makes a job id for a file that names none.

    Raises:
        JobSpecError: it cannot be read, or is no job; names line and key.
        TemplateError: it has a sweep and its template cannot be read.
    """
    source = str(path)
    body = read_body(_read_text(path), source=source, json_only=path.suffix.lower() == ".json")
    if any(isinstance(node, dict) and "class_type" in node for node in body.value.values()):
        message = "this is a workflow, not a job; write a job that names it as its `workflow_template`."
        raise JobSpecError(message, source=source)
    value = take_variables(body.value, namespace=None, places=body.places)
    return _specs(value, body.places, cwd=cwd, new_id=new_id)


def parse_cell(
    text: str,
    *,
    template: str,
    name: str | None = None,
    namespace: Mapping[str, object],
    cwd: Path | None = None,
    new_id: Callable[[str], str] = fresh_job_id,
) -> JobSpec:
    """Read the body of a cell that has no sweep; see :func:`parse_cell_jobs`."""
    jobs = parse_cell_jobs(text, template=template, name=name, namespace=namespace, cwd=cwd, new_id=new_id)
    return _only(jobs, "parse_cell_jobs")


def parse_cell_jobs(
    text: str,
    *,
    template: str,
    name: str | None = None,
    namespace: Mapping[str, object],
    cwd: Path | None = None,
    new_id: Callable[[str], str] = fresh_job_id,
) -> tuple[JobSpec, ...]:
    """Read the body of a ``%%comfyjob`` cell: one job, or those of its sweep.

    Args:
        text: what stands below the first line of the cell; lines are counted with that first line.
        template: the workflow template that the first line names.
        name: the job id that the first line names, if it does.
        namespace: notebook variables.
        cwd: what relative paths are relative to; None for the current folder.
        new_id: makes a job id where none is named.

    Raises:
        JobSpecError: names line and key.
        TemplateError: it has a sweep and its template cannot be read.
    """
    body = read_body("\n" + text, source="cell")
    value = take_variables(body.value, namespace=namespace, places=body.places)
    _put(value, "workflow_template", template, body)
    _put(value, "job_id", name, body)
    return _specs(value, body.places, cwd=cwd, new_id=new_id)


def make_spec(
    template: str,
    *,
    inputs: Mapping[str, object] | None = None,
    params: Mapping[str, object] | None = None,
    outputs: Mapping[str, object] | None = None,
    pod_config: Mapping[str, object] | None = None,
    job_id: str | None = None,
    cwd: Path | None = None,
    new_id: Callable[[str], str] = fresh_job_id,
) -> JobSpec:
    """Make a job from Python values; paths may be texts or :class:`~pathlib.Path`, ``$`` means nothing.

    Raises:
        JobSpecError: names the key.
    """
    value, places = _given(template, inputs, params, outputs, pod_config, job_id)
    return _specs(value, places, cwd=cwd, new_id=new_id)[0]


def make_jobs(
    template: str,
    *,
    sweep: Mapping[str, object],
    inputs: Mapping[str, object] | None = None,
    params: Mapping[str, object] | None = None,
    outputs: Mapping[str, object] | None = None,
    pod_config: Mapping[str, object] | None = None,
    job_id: str | None = None,
    cwd: Path | None = None,
    new_id: Callable[[str], str] = fresh_job_id,
) -> tuple[JobSpec, ...]:
    """Make the jobs of a sweep from Python values; the rest is as for :func:`make_spec`.

    Args:
        template: name of a workflow template, or path of its file.
        sweep: parameter or input → values (a list, tuple or range; for files also patterns), and ``"zip": True``.
        inputs: what all jobs have in common; so with the others.
        params: the same.
        outputs: each job gets paths of its own: ``{job_id}`` is filled in, or its number added to the name.
        pod_config: limits are those of each job.
        job_id: the jobs are called ``JOB_ID-001`` and so on.
        cwd: what relative paths are relative to; None for the current folder.
        new_id: makes a job id if none is given.

    Raises:
        JobSpecError: names the key.
        TemplateError: the template cannot be read.
    """
    value, places = _given(template, inputs, params, outputs, pod_config, job_id)
    value["sweep"] = plain(sweep, places=places, path=("sweep",))
    return _specs(value, places, cwd=cwd, new_id=new_id)


def _given(template: str, *sections: object) -> tuple[dict[str, JsonValue], Places]:
    """What was given from Python, as it would be read from text."""
    keys = ("workflow_template", "inputs", "params", "outputs", "pod_config", "job_id")
    places = Places("Python")
    items = zip(keys, (template, *sections), strict=True)
    return {key: plain(item, places=places, path=(key,)) for key, item in items}, places


def with_pod_config(spec: JobSpec, wishes: Mapping[str, object], *, source: str = "option") -> JobSpec:
    """The job with some keys of its ``pod_config`` replaced, for options such as ``--max-cost``.

    Args:
        spec: the job.
        wishes: the keys to replace; a number may be a text. None takes a limit away.
        source: for messages.

    Raises:
        JobSpecError: a key is unknown or its value is none that it can have.
    """
    checked = check_wishes(asdict(spec.pod_config) | dict(wishes), Places(source))
    return replace(spec, pod_config=_pod_config(checked))


def check_batch(specs: Sequence[JobSpec]) -> None:
    """Refuse a batch in which two jobs have one id.

    Raises:
        JobSpecError: names both sources.
    """
    first: dict[str, JobSpec] = {}
    faults = []
    for spec in specs:
        other = first.setdefault(spec.job_id, spec)
        if other is not spec:
            message = f"the job id {spec.job_id!r} is that of another job too, in {other.source}; change one of them."
            line = spec.lines.get("job_id")
            faults.append(Fault(message=message, source=spec.source, line=line, key="job_id"))
    raise_faults(faults)


def _read_text(path: Path) -> str:
    try:
        data = path.read_bytes()
    except FileNotFoundError as error:
        beside = (each.name for each in path.parent.glob("*")) if path.parent.is_dir() else ()
        raise JobSpecError(f"there is no such job file.{nearest(path.name, beside)}", source=str(path)) from error
    except (OSError, ValueError) as error:
        why = getattr(error, "strerror", None) or error
        raise JobSpecError(f"the job file cannot be read: {why}.", source=str(path)) from error
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise JobSpecError("is not UTF-8 text; save it as UTF-8.", source=str(path), line=line) from error


def _put(value: dict[str, JsonValue], key: str, given: str | None, body: Body) -> None:
    """What the first line of a cell says; the body may repeat it but not contradict it."""
    if given is None:
        return
    if value.setdefault(key, given) != given:
        message = f"the first line of the cell says {given!r}, this key {value[key]!r}; keep one of them."
        raise body.places.fault(message, (key,)).error()


def _specs(
    value: Mapping[str, JsonValue], places: Places, *, cwd: Path | None, new_id: Callable[[str], str]
) -> tuple[JobSpec, ...]:
    job = check_job(value, places)
    job_id = job.job_id or new_id(job.workflow_template)
    here = cwd or Path.cwd()
    if not job.sweep:
        return (_spec(job, job_id, here, places),)
    template = load_template(find_template(job.workflow_template, cwd=here))  # it tells inputs from parameters
    axes = read_axes(
        job, places, inputs=template.inputs, params=template.params, find_files=partial(matching_files, cwd=here)
    )
    return tuple(_swept(point, job_id, here, places) for point in expand(job, axes, places, batch=job_id))


def _spec(job: JobText, job_id: str, here: Path, places: Places) -> JobSpec:
    outputs = {name: here / str(path).replace("{job_id}", job_id) for name, path in job.outputs.items()}
    return JobSpec(
        job_id=job_id,
        workflow_template=job.workflow_template,
        inputs=MappingProxyType({name: here / path for name, path in job.inputs.items()}),
        params=MappingProxyType(job.params),
        outputs=MappingProxyType(outputs),
        pod_config=_pod_config(job.pod_config),
        source=places.source,
        lines=MappingProxyType({dotted(path): line for path, line in places.lines.items()}),
    )


def _swept(point: Point, batch: str, here: Path, places: Places) -> JobSpec:
    spec = _spec(point.job, str(point.job.job_id), here, places)
    lines = {dotted(path): places.line_of(place) for path, place in point.places.items()}
    known = {key: line for key, line in lines.items() if line is not None}
    swept = MappingProxyType(dict(point.swept))
    return replace(spec, batch=batch, swept=swept, lines=MappingProxyType({**spec.lines, **known}))


def _only(jobs: Sequence[JobSpec], instead: str) -> JobSpec:
    """The job, if it is one.

    Raises:
        JobSpecError: it is a sweep.
    """
    first = jobs[0]
    if first.batch:
        message = f"the sweep makes {len(jobs)} jobs; only one can be used here. In Python, {instead} reads them all."
        raise JobSpecError(message, source=first.source, line=first.lines.get("sweep"), key="sweep")
    return first


def _pod_config(wishes: PodWishes) -> PodConfig:
    return PodConfig(**dict(wishes))
