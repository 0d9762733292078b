"""The schema of a job, for files, cells and Python alike, also as JSON Schema for editors."""

from __future__ import annotations

import re
from collections.abc import Mapping
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Annotated, Any

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    StringConstraints,
    ValidationError,
    WithJsonSchema,
)
from pydantic.json_schema import GenerateJsonSchema
from pydantic_core import ErrorDetails

from autopod_nb.errors import nearest
from autopod_nb.jobs.fault import Fault, KeyPath, Places, raise_faults

LONGEST_ID = 64
"""Characters that a job id may have."""

_MOST = 100_000  # US dollars or minutes; a guess, there to catch slips and to keep arithmetic safe
_NO_LIST = "must be a list of values, such as [1, 2], not {}."
_BRACES = re.compile(r"\{[^{}]*\}")


def _amount(value: object) -> object:
    """A limit as Decimal; a float by its shortest text, so that 0.1 is 0.1."""
    if isinstance(value, bool) or not isinstance(value, int | float | str | Decimal):
        raise ValueError(f"must be a number above 0, not {_kind(value)}.")  # noqa: TRY004 # pydantic wants ValueError
    try:
        return Decimal(str(value))
    except InvalidOperation:
        raise ValueError(f"must be a number above 0 such as 0.5, not {value!r}.") from None


def input_path(value: object) -> Path:
    """The path of a file as a person writes it.

    Raises:
        ValueError: it is none; the sentence is for the person.
    """
    if not isinstance(value, str) or not value or "\0" in value:
        got = _kind(value) if not isinstance(value, str) else repr(value)
        raise ValueError(f"must be the path of a file, not {got}.")
    try:
        return Path(value).expanduser()
    except RuntimeError as error:
        raise ValueError(f"{value!r} cannot be resolved; write the path out.") from error


def _output_path(value: object) -> Path:
    text = str(value)
    wrong = next((found for found in _BRACES.findall(text) if found != "{job_id}"), None)
    if wrong is not None and isinstance(value, str):
        raise ValueError(f"{wrong} cannot be filled; only {{job_id}} can stand in the path of an output.")
    if text.endswith("/"):
        raise ValueError(f"{text!r} names a folder; add a file name.")
    return input_path(value)


def _empty_if_none(value: object) -> object:
    return {} if value is None else value


def _swept(value: object) -> object:
    """What stands at a name of a sweep; whether it fits that name only the template tells."""
    if not isinstance(value, bool | str | list):
        raise ValueError(_NO_LIST.format(_kind(value)))  # noqa: TRY004 # as above
    if value in ([], ""):
        raise ValueError("has no values; write at least one.")
    return value


_Name = Annotated[str, StringConstraints(min_length=1)]
_Section = BeforeValidator(_empty_if_none)
_Amount = Annotated[
    Decimal,
    BeforeValidator(_amount),
    Field(gt=0, le=_MOST),
    WithJsonSchema({"type": ["number", "string"], "exclusiveMinimum": 0, "maximum": _MOST}),
]
_JobId = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$", max_length=LONGEST_ID)]
_InputPath = Annotated[Path, BeforeValidator(input_path), WithJsonSchema({"type": "string", "minLength": 1})]
_OutputPath = Annotated[
    Path,
    BeforeValidator(_output_path),
    WithJsonSchema({"type": "string", "pattern": r"^(?![\s\S]*\{(?!job_id\})[^{}]*\})[\s\S]*[^/]$"}),
]
_Swept = Annotated[
    Any,
    BeforeValidator(_swept),
    WithJsonSchema({"anyOf": [{"type": "array", "minItems": 1}, {"type": "string", "minLength": 1}]}),
]


class PodWishes(BaseModel):
    """What a job wants of its pod, and its limits."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    gpu_type: _Name | None = Field(
        default=None, description="A GPU as people call it, such as A40; else your preferences."
    )
    gpu_count: int = Field(default=1, strict=True, ge=1, le=8, description="GPUs in the pod.")
    max_cost_usd: _Amount | None = Field(default=None, description="The job ends when it has cost this much.")
    timeout_minutes: _Amount | None = Field(default=None, description="The job ends after this long on a pod.")


class JobText(BaseModel):
    """What a person writes. Paths are relative to the folder in which the job is read, ``~`` is expanded."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    job_id: _JobId | None = Field(default=None, description="Name of the job; one is made if it is left out.")
    workflow_template: _Name = Field(description="Name of a workflow template, or path of its file.")
    inputs: Annotated[dict[_Name, _InputPath], _Section] = Field(
        default={}, description="Input of the template → local file."
    )
    params: Annotated[dict[_Name, Any], _Section] = Field(
        default={}, description="Parameter of the template, or a node's input (NODE_ID.input or Title.input) → value."
    )
    outputs: Annotated[dict[_Name, _OutputPath], _Section] = Field(
        default={},
        description="Output of the template → local path, which may hold {job_id}; else all, in outputs/JOB_ID/.",
    )
    pod_config: Annotated[PodWishes, _Section] = Field(
        default=PodWishes(), description="Wishes and limits; all optional."
    )
    sweep: Annotated[dict[_Name, _Swept], _Section] = Field(
        default={}, description="Parameter or input → list of values (files: patterns too): a job for each combination."
    )


def job_schema() -> dict[str, Any]:
    """JSON Schema (draft 2020-12) of a job file, for editors; ``jobs/job.schema.json`` holds it.

    It takes every file that :func:`check_job` takes; the home of an unknown user and the like only that can refuse.
    """
    schema = JobText.model_json_schema(schema_generator=_Generator)
    properties = schema["properties"]
    pairs = {"anyOf": [{"type": "boolean"}, *properties["sweep"]["additionalProperties"]["anyOf"]]}
    properties["sweep"]["properties"] = {"zip": pairs | {"description": "true: the lists are pairs, of one length."}}
    for name in ("inputs", "params", "outputs", "sweep", "pod_config"):
        about = {key: properties[name].pop(key) for key in ("default", "description")}
        properties[name] = about | {"anyOf": [properties[name], {"type": "null"}]}
    return {"$schema": "https://json-schema.org/draft/2020-12/schema"} | schema | {"title": "A job of autopod_nb"}


class _Generator(GenerateJsonSchema):
    """Without a title for each key, which would only repeat it."""

    def field_title_should_be_set(self, schema: Any) -> bool:  # noqa: ARG002 - pydantic calls it so
        return False


def check_job(value: Mapping[str, object], places: Places) -> JobText:
    """The keys of a job, checked.

    Raises:
        JobSpecError: names every fault, with line and key.
    """
    try:
        job = JobText.model_validate(value)
    except ValidationError as error:
        raise_faults(_faults(error, (), places))
        raise
    options = [key for key, values in job.sweep.items() if isinstance(values, bool) and key != "zip"]
    raise_faults([places.fault(_NO_LIST.format("true or false"), ("sweep", key)) for key in options])
    return job


def check_wishes(value: Mapping[str, object], places: Places) -> PodWishes:
    """The keys of ``pod_config``, checked.

    Raises:
        JobSpecError: names every fault.
    """
    try:
        return PodWishes.model_validate(value)
    except ValidationError as error:
        raise_faults(_faults(error, ("pod_config",), places))
        raise


def _faults(error: ValidationError, prefix: KeyPath, places: Places) -> list[Fault]:
    """In the order in which a person reads."""
    faults = []
    for details in error.errors():
        path = (*prefix, *(part for part in details["loc"] if part != "[key]"))
        faults.append(places.fault(_sentence(details, path), path))
    return sorted(faults, key=lambda fault: fault.line or 0)


def _sentence(details: ErrorDetails, path: KeyPath) -> str:
    """An error of pydantic in our words, with the fix."""
    kind, context = details["type"], details.get("ctx", {})
    if kind == "extra_forbidden":
        known = list((PodWishes if path[0] == "pod_config" else JobText).model_fields)
        return f"there is no key {path[-1]!r}.{nearest(str(path[-1]), known)} Known: {', '.join(known)}."
    if kind == "value_error":
        return str(context["error"])
    said = _SENTENCES.get(kind)
    if said is None:
        return f"{details['msg']}."
    return said.format(kind=_kind(details["input"]), value=details["input"], **context)


_SENTENCES = {  # pydantic's type of error → our words
    "missing": "is missing; every job needs it.",
    "string_type": "must be a text, not {kind}; put it in quotes.",
    "string_too_short": "is empty.",
    "string_too_long": "is longer than {max_length} characters.",
    "string_pattern_mismatch": (
        "{value!r} cannot be a job id; use letters, digits, '.', '_' and '-', and begin with a letter or digit."
    ),
    "int_type": "must be a whole number, not {kind}.",
    "dict_type": "must be a mapping of names to values, not {kind}.",
    "model_type": "must be a mapping of names to values, not {kind}.",
    "greater_than": "must be above {gt}, not {value}.",
    "greater_than_equal": "must be {ge} or more, not {value}.",
    "less_than_equal": "must be {le} or less, not {value}.",
    "finite_number": "must be a finite number.",
}


def _kind(value: object) -> str:
    names = {
        bool: "true or false",
        int: "a number",
        float: "a number",
        str: "a text",
        list: "a list",
        dict: "a mapping",
    }
    return "nothing" if value is None else names.get(type(value), f"a value of type {type(value).__name__}")
