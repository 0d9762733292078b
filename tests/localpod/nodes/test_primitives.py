from __future__ import annotations

import pytest

from tests.localpod.nodes.workbench import Workbench


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("PrimitiveInt", 42),
        ("PrimitiveFloat", 0.5),
        ("PrimitiveString", "a"),
        ("PrimitiveStringMultiline", "a\nb"),
        ("PrimitiveBoolean", False),
    ],
)
def test_a_primitive_passes_its_value_on(bench: Workbench, name: str, value: object) -> None:
    assert bench.value(name, value=value) is value


def test_texts_are_joined(bench: Workbench) -> None:
    assert bench.value("StringConcatenate", string_a="a", string_b="b", delimiter=" | ") == "a | b"


@pytest.mark.parametrize(
    ("source", "text"), [("x", "x"), (5, "5"), (5.0, "5.0"), (True, "True"), (None, "None"), ([1, "a"], '[1, "a"]')]
)
def test_any_value_is_shown_as_the_real_node_shows_it(bench: Workbench, source: object, text: str) -> None:
    assert bench.run("PreviewAny", source=source).ui == {"text": [text]}


def test_what_json_does_not_know_is_shown_by_its_own_text(bench: Workbench) -> None:
    ui = bench.run("PreviewAny", source={1}).ui
    assert ui == {"text": ["{1}"]}
