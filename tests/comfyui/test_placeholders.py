from __future__ import annotations

import json
import re
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from autopod_nb.comfyui.placeholders import REQUIRED, Kind, Placeholder, Required, fill_text, parse_text
from autopod_nb.errors import TemplateError
from autopod_nb.models.job import JsonScalar

NAMES = st.from_regex(re.compile(r"[^\W\d][\w-]{0,12}"), fullmatch=True)
SCALARS = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text()
JSON = st.recursive(SCALARS, lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner), max_leaves=5)


def written(placeholder: Placeholder) -> str:
    """How a person writes it; a text as JSON writes it, which is always understood."""
    default = "" if isinstance(placeholder.default, Required) else f"={json.dumps(placeholder.default)}"
    return f"{{{placeholder.key}{default}}}"


def param(name: str, default: JsonScalar | Required = REQUIRED) -> Placeholder:
    return Placeholder(Kind.PARAM, name, default)


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("", ()),
        ("plain", ("plain",)),
        ("{input.image}", (Placeholder(Kind.INPUT, "image"),)),
        ("{param.seed}", (param("seed"),)),
        ("{param.seed=42}", (param("seed", 42),)),
        ("{param.cfg=4.5}", (param("cfg", 4.5),)),
        ("{param.on=true}", (param("on", True),)),
        ("{param.none=null}", (param("none", None),)),
        ("{param.empty=}", (param("empty", ""),)),
        ("{param.word=a sunny day}", (param("word", "a sunny day"),)),
        ('{param.word="42"}', (param("word", "42"),)),
        ('{param.word="a } \\" b"}', (param("word", 'a } " b'),)),
        ('{param.word="a" or "b"}', (param("word", '"a" or "b"'),)),
        ("{param.list=[1]}", (param("list", "[1]"),)),
        ("{param.big=1e999}", (param("big", "1e999"),)),
        ("{param.größe-2=1}", (param("größe-2", 1),)),
        ("{param.a}{param.b}", (param("a"), param("b"))),
        ("{{param.a}|{param.b}}", ("{", param("a"), "|", param("b"), "}")),
        ("{{param.a}}", ("{param.a}",)),
        ('{{param.a="}"}}', ('{param.a="}"}',)),
        ("{red|blue} {} {{}} {1} {params.a} {seed}", ("{red|blue} {} {{}} {1} {params.a} {seed}",)),
        ('{"a": {"b": 1}}', ('{"a": {"b": 1}}',)),
    ],
)
def test_a_text_splits_into_literals_and_placeholders(text: str, parts: tuple[object, ...]) -> None:
    assert parse_text(text) == parts


@pytest.mark.parametrize(
    "text", ["{param.}", "{param.two words}", "{input.a b} x", "{param.9}", "{input.x", "{param.a={}}"]
)
def test_what_starts_like_a_placeholder_and_is_none_is_refused_with_the_right_form(text: str) -> None:
    with pytest.raises(TemplateError, match=r"is no placeholder: write \{input\.NAME\}, .*double the braces"):
        parse_text(text)


def test_an_input_with_a_default_is_refused() -> None:
    with pytest.raises(TemplateError, match=r"has no default; write \{input\.image\}"):
        parse_text("{input.image=a.png}")


@settings(max_examples=500)
@given(kind=st.sampled_from(Kind), name=NAMES, default=SCALARS | st.just(REQUIRED))
def test_a_placeholder_that_is_written_is_read_again(kind: Kind, name: str, default: JsonScalar | Required) -> None:
    """parse(write(placeholder)) is that placeholder, with the type of its default."""
    placeholder = Placeholder(kind, name, REQUIRED if kind is Kind.INPUT else default)
    (read,) = parse_text(written(placeholder))
    assert read == placeholder
    assert isinstance(read, Placeholder)
    assert type(read.default) is type(placeholder.default)


@settings(max_examples=500)
@given(value=JSON)
def test_a_placeholder_alone_becomes_the_value_with_its_type(value: Any) -> None:
    filled = fill_text("{param.x=1}", {"param.x": value})
    assert json.dumps(filled) == json.dumps(value)


def test_a_filled_list_is_a_copy() -> None:
    value: list[Any] = [1]
    filled = fill_text("{param.x}", {"param.x": value})
    assert filled == [1]
    assert filled is not value


@settings(max_examples=500)
@given(
    before=st.text(st.characters(exclude_characters="{}")),
    value=st.text(),
    after=st.text(st.characters(exclude_characters="{}")),
)
def test_any_text_inside_a_longer_text_arrives_unchanged_and_is_never_looked_at_again(
    before: str, value: str, after: str
) -> None:
    filled = fill_text(f"{before} {{param.x}}{{param.y}} {after}", {"param.x": value, "param.y": "{param.x}"})
    assert filled == f"{before} {value}{{param.x}} {after}"


@pytest.mark.parametrize(
    ("value", "text"), [(1, "1"), (0.02, "0.02"), (True, "true"), (None, "null"), ("é", "é"), (["é", 1], '["é", 1]')]
)
def test_what_is_no_text_is_inserted_as_json_writes_it(value: Any, text: str) -> None:
    assert fill_text("<{param.x}>", {"param.x": value}) == f"<{text}>"
