"""A sweep: one job over lists of values becomes many jobs, with names and an order that are the same every time.

``sweep: {seed: [1, 2], image: ["photos/*.jpg"]}`` makes every combination; the first name changes slowest. With
``zip: true`` the first values belong together, then the second ones, and so on.

A name is that of a parameter or an input of the template, or a node's input (``3.steps``). ``input.NAME`` is surely an
input, and ``param.NAME`` surely what ``params`` would call NAME: for an input and a parameter of one name, or a node
titled ``input``. A list is always values, also under the name ``zip``; only true and false are the option.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from pathlib import Path

from autopod_nb.comfyui.placeholders import Kind
from autopod_nb.jobs.fault import Fault, KeyPath, Places, raise_faults
from autopod_nb.jobs.schema import LONGEST_ID, JobText, input_path
from autopod_nb.models.job import JsonValue

MOST_JOBS = 1000
"""Jobs that one sweep may make; a guess, there to catch slips before they cost."""

_ZIP = "zip"


@dataclass(frozen=True, slots=True)
class Value:
    """One value of an axis.

    Attributes:
        value: of a parameter, or the path of a file as it was written.
        place: where it stands in the job.
    """

    value: JsonValue
    place: KeyPath


@dataclass(frozen=True, slots=True)
class Axis:
    """One name of a sweep, with its values in order.

    Attributes:
        key: as written.
        kind: what it sets.
        name: what ``inputs`` or ``params`` call it.
        values: at least one.
    """

    key: str
    kind: Kind
    name: str
    values: tuple[Value, ...]


@dataclass(frozen=True, slots=True)
class Point:
    """One job of a sweep.

    Attributes:
        job: with an id, inputs, params and outputs of its own, and no sweep.
        swept: name as written → value.
        places: where in the job the values stand: ``("params", NAME)`` → the place in the sweep.
    """

    job: JobText
    swept: Mapping[str, JsonValue]
    places: Mapping[KeyPath, KeyPath]


def read_axes(
    job: JobText,
    places: Places,
    *,
    inputs: Collection[str],
    params: Collection[str],
    find_files: Callable[[str], Sequence[str]],
) -> tuple[Axis, ...]:
    """The names of a sweep with their values; patterns of file names are expanded.

    Args:
        job: with a sweep.
        places: for messages.
        inputs: names of the template's inputs.
        params: names of the template's parameters.
        find_files: pattern → the files that match, in order; what is no pattern is its own match. A ValueError of it
            becomes a fault.

    Raises:
        JobSpecError: names every fault.
    """
    faults: list[Fault] = []
    axes = []
    for key, written in job.sweep.items():
        if key == _ZIP and isinstance(written, bool):
            continue
        try:
            kind, name = _meant(key, inputs, params)
            axes.append(Axis(key, kind, name, tuple(_values(key, kind, written, find_files))))
        except _Wrong as wrong:
            faults.append(places.fault(str(wrong), wrong.place))
    faults += _twice(axes, places)
    raise_faults(faults)
    return tuple(axes)


def expand(job: JobText, axes: Sequence[Axis], places: Places, *, batch: str) -> tuple[Point, ...]:
    """The jobs of a sweep, in order.

    Args:
        job: what they have in common.
        axes: from :func:`read_axes`.
        places: for messages.
        batch: job id above them; theirs are ``BATCH-001``, ``BATCH-002`` …

    Raises:
        JobSpecError: there are too many or none, lists to be paired differ in length, two jobs would be the same, or
            the job id leaves no room for the number.
    """
    rows = _rows(axes, places, zipped=job.sweep.get(_ZIP) is True)
    digits = max(3, len(str(len(rows))))
    if len(batch) + 1 + digits > LONGEST_ID:
        message = f"is longer than {LONGEST_ID - 1 - digits} characters, which leaves no room for -{1:0{digits}}."
        raise places.fault(message, ("job_id",)).error()
    return tuple(_point(job, axes, row, batch, f"{number:0{digits}}") for number, row in enumerate(rows, start=1))


class _Wrong(Exception):
    """Something about one name of the sweep."""

    def __init__(self, message: str, *place: str | int) -> None:
        self.place: KeyPath = ("sweep", *place)
        super().__init__(message)


def _meant(key: str, inputs: Collection[str], params: Collection[str]) -> tuple[Kind, str]:
    for kind in Kind:
        if key.startswith(f"{kind.value}."):
            return kind, key.removeprefix(f"{kind.value}.")
    if key in inputs and key in params:
        message = f"is an input and a parameter of the template; write 'input.{key}' or 'param.{key}'."
        raise _Wrong(message, key)
    return (Kind.INPUT if key in inputs else Kind.PARAM), key


def _values(key: str, kind: Kind, written: object, find_files: Callable[[str], Sequence[str]]) -> Iterator[Value]:
    if isinstance(written, str) and kind is Kind.INPUT:
        yield from _files(written, (key,), find_files)
    elif not isinstance(written, list):
        option = "true or false, or " if key == _ZIP else ""
        raise _Wrong(f"must be {option}a list of values, such as [1, 2].", key)
    elif kind is Kind.PARAM:
        yield from (Value(value, ("sweep", key, index)) for index, value in enumerate(written))
    else:
        for index, item in enumerate(written):
            yield from _files(item, (key, index), find_files)


def _files(written: object, place: tuple[str | int, ...], find_files: Callable[[str], Sequence[str]]) -> list[Value]:
    try:
        input_path(written)  # a path at all
        found = find_files(str(written))
    except ValueError as error:
        raise _Wrong(str(error), *place) from error
    if not found:
        raise _Wrong(f"no file matches {written!r}; look at the folder and the pattern.", *place)
    return [Value(path, ("sweep", *place)) for path in found]


def _twice(axes: Iterable[Axis], places: Places) -> Iterator[Fault]:
    first: dict[tuple[Kind, str], str] = {}
    for axis in axes:
        other = first.setdefault((axis.kind, axis.name), axis.key)
        if other != axis.key:
            yield places.fault(f"sets the same as {other!r}; keep one of them.", ("sweep", axis.key))


def _rows(axes: Sequence[Axis], places: Places, *, zipped: bool) -> list[tuple[Value, ...]]:
    """One value of each axis for every job."""
    lengths = {axis.key: len(axis.values) for axis in axes}
    if not lengths:
        raise places.fault("names nothing to sweep over; write `seed: [1, 2]` or the like.", ("sweep",)).error()
    if zipped and len(set(lengths.values())) > 1:
        listed = ", ".join(f"{key} has {length}" for key, length in lengths.items())
        raise places.fault(f"`zip: true` pairs lists of one length; {listed}.", ("sweep", _ZIP)).error()
    count = min(lengths.values()) if zipped else math.prod(lengths.values())
    if count > MOST_JOBS:
        message = f"makes {count} jobs, and one sweep can make {MOST_JOBS}; shorten a list or make several sweeps."
        raise places.fault(message, ("sweep",)).error()
    values = [axis.values for axis in axes]
    rows = list(zip(*values, strict=True) if zipped else product(*values))
    _refuse_equal(rows, places)
    return rows


def _refuse_equal(rows: Sequence[tuple[Value, ...]], places: Places) -> None:
    """The same job a second time costs money and gives the same result."""
    first: dict[str, int] = {}
    for number, row in enumerate(rows, start=1):
        other = first.setdefault(json.dumps([value.value for value in row], sort_keys=True), number)
        if other != number:
            message = f"jobs {other} and {number} of the sweep would be the same; remove one of the equal values."
            raise places.fault(message, row[-1].place).error()


def _point(job: JobText, axes: Sequence[Axis], row: Sequence[Value], batch: str, number: str) -> Point:
    pairs = list(zip(axes, row, strict=True))
    inputs = {axis.name: input_path(value.value) for axis, value in pairs if axis.kind is Kind.INPUT}
    params = {axis.name: value.value for axis, value in pairs if axis.kind is Kind.PARAM}
    changed = {
        "job_id": f"{batch}-{number}",
        "inputs": job.inputs | inputs,
        "params": job.params | params,
        "outputs": {name: _own(path, number) for name, path in job.outputs.items()},
        "sweep": {},
    }
    return Point(
        job=job.model_copy(update=changed),
        swept={axis.key: value.value for axis, value in pairs},
        places={(f"{axis.kind.value}s", axis.name): value.place for axis, value in pairs},
    )


def _own(path: Path, number: str) -> Path:
    """A path that no other job of the sweep has; what is no file name is left to the check of the outputs."""
    if "{job_id}" in str(path) or path.name in ("", ".."):
        return path
    return path.with_name(f"{path.stem}-{number}{path.suffix}")
