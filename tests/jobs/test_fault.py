from __future__ import annotations

import pytest

from autopod_nb.errors import JobSpecError
from autopod_nb.jobs.fault import Fault, KeyPath, Places, dotted, raise_faults


@pytest.mark.parametrize(
    ("path", "text"), [((), ""), (("params",), "params"), (("params", "sizes", 0, "w"), "params.sizes[0].w")]
)
def test_a_key_path_is_shown_with_dots_and_brackets(path: KeyPath, text: str) -> None:
    assert dotted(path) == text


def test_no_fault_raises_nothing() -> None:
    raise_faults(())


def test_many_faults_are_one_line_with_the_place_of_the_first() -> None:
    faults = [
        Fault(message=f"fault {number}.", source="a.json", line=number, key=f"k{number}") for number in range(1, 8)
    ]
    with pytest.raises(JobSpecError) as caught:
        raise_faults(faults)
    said = str(caught.value)
    assert said.startswith("a.json, line 1, k1: fault 1. Also line 2, k2: fault 2. Also line 3, k3: fault 3.")
    assert said.endswith("Also line 5, k5: fault 5. And 2 more.")
    assert (caught.value.source, caught.value.line, caught.value.key) == ("a.json", 1, "k1")


def test_a_key_without_a_line_has_that_of_the_nearest_key_around_it() -> None:
    places = Places("cell", {("params",): 3, ("params", "a"): 4})
    assert places.fault("x.", ("params", "b")).line == 3
    assert places.fault("x.", ("params", "a", 0)).line == 4
    assert places.fault("x.", ("inputs",)).line is None
