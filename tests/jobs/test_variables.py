from __future__ import annotations

import enum
import json
import os
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from autopod_nb.errors import JobSpecError
from autopod_nb.jobs.fault import Places
from autopod_nb.jobs.variables import plain, take_variables


class Colour(str, enum.Enum):
    RED = "red"


class Size(enum.IntEnum):
    SMALL = 1


def taken(value: Any, **namespace: object) -> Any:
    return take_variables({"params": value}, namespace=namespace, places=Places("cell", {("params",): 3}))["params"]


@pytest.mark.parametrize(
    ("written", "value"),
    [
        ("$seed", 7), ("$größe", 8), (["$seed", {"a": "$seed"}], [7, {"a": 7}]), ("$text", "$seed"),
        ("$$seed", "$seed"), ("$$$seed", "$$seed"), ("$5", "$5"), ("$", "$"), ("$$", "$$"), ("a $seed", "a $seed"),
        ("$seed ", "$seed "), ("$seed\n", "$seed\n"), ("$a.b", "$a.b"), ("${seed}", "${seed}"),
    ],
)  # fmt: skip
def test_only_a_text_that_is_exactly_a_name_takes_a_variable(written: Any, value: object) -> None:
    """At any depth, and what was taken is not looked at again."""
    assert taken(written, seed=7, größe=8, text="$seed", a=1) == value


def test_a_missing_variable_is_answered_with_place_nearest_name_and_fix() -> None:
    with pytest.raises(JobSpecError) as caught:
        taken({"x": ["$sede"]}, seed=7, _seed=8)
    assert str(caught.value) == (
        "cell, line 3, params.x[0]: there is no notebook variable 'sede'. Did you mean 'seed'? "
        "Set it first, or write $$sede for the text itself."
    )


def test_where_there_are_no_variables_a_name_is_refused_and_two_signs_still_mean_one() -> None:
    places = Places("a.json")
    assert take_variables({"a": "$$x"}, namespace=None, places=places) == {"a": "$x"}
    with pytest.raises(JobSpecError, match=r"a\.json, a: \$x takes a notebook variable, and a job file has none"):
        take_variables({"a": "$x"}, namespace=None, places=places)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (np.int64(3), 3), (np.float64(0.5), 0.5), (np.bool_(True), True), (np.str_("a"), "a"), (np.array(4), 4),  # noqa: FBT003 # a value
        (np.uint64(2**64 - 1), 2**64 - 1), (Path("a/b"), "a/b"), (Colour.RED, "red"), (Size.SMALL, 1),
        ((1, (2,)), [1, [2]]), ({"a": np.int8(1)}, {"a": 1}), (Path(os.fsdecode(b"\xff")), "\udcff"),
    ],
)  # fmt: skip
def test_values_of_python_become_those_of_json(value: object, expected: Any) -> None:
    got = taken("$x", x=value)
    assert got == expected
    assert type(got) is type(expected)
    assert json.loads(json.dumps(got)) == expected


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (float("nan"), "nan is no finite number"),
        (np.float32("inf"), "inf is no finite number"),
        (Decimal("0.1"), "a value of type Decimal cannot be part of a job"),
        (np.zeros(2), "a value of type ndarray"),
        ({1, 2}, "a value of type set"),
        (b"x", "a value of type bytes"),
        (dict, "a value of type type"),
        ({1: "a"}, "the key 1 is no text; write '1'."),
    ],
)
def test_a_value_that_json_does_not_have_is_refused_with_its_key(value: object, said: str) -> None:
    with pytest.raises(JobSpecError) as caught:
        taken("$x", x={"deep": [value]})
    assert str(caught.value).startswith("cell, line 3, params.deep[0]: ")
    assert said in str(caught.value)


def test_a_list_that_holds_itself_is_refused() -> None:
    endless: list[object] = []
    endless.append(endless)
    with pytest.raises(JobSpecError, match="nested more than 50 deep"):
        taken("$x", x=endless)


def test_a_decimal_is_taken_for_a_limit_and_stays_exact() -> None:
    limits = plain({"max_cost_usd": Decimal("0.10000000000000000001")}, places=Places("Python"), path=("pod_config",))
    assert limits == {"max_cost_usd": "0.10000000000000000001"}


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=8,
)


@given(value=JSON)
def test_a_variable_of_json_values_arrives_as_it_is(value: Any) -> None:
    assert json.dumps(taken("$x", x=value)) == json.dumps(value)
