from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from autopod_nb.errors import JobSpecError
from autopod_nb.jobs.body import read_body

TEXT = st.text(st.characters(exclude_categories=["Cs"]))
KEYS = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)  # YAML has no key of more than 1024 characters
SCALARS = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | TEXT
JSON = st.recursive(SCALARS, lambda inner: st.lists(inner) | st.dictionaries(KEYS, inner), max_leaves=8)
BODIES = st.dictionaries(KEYS, JSON)


def read(text: str, **options: Any) -> Any:
    return read_body(text, source="cell", **options).value


def refusal(text: str, **options: Any) -> JobSpecError:
    with pytest.raises(JobSpecError) as caught:
        read(text, **options)
    assert "\n" not in str(caught.value)
    return caught.value


@pytest.mark.parametrize(
    ("written", "value"),
    [
        ("1e-4", 1e-4), ("12e03", 12000.0), ("1.", 1.0), (".5", 0.5), ("+5", 5), ("0o17", 15), ("0x1F", 31),
        ("017", 17), ("no", "no"), ("yes", "yes"), ("on", "on"), ("y", "y"), ("true", True), ("False", False),
        ("tRue", "tRue"), ("null", None), ("~", None), ("", None), ("None", "None"),
        ("2026-01-01", "2026-01-01"), ("2026-01-01T10:00:00Z", "2026-01-01T10:00:00Z"), ("1:30", "1:30"),
        ("1_000", "1_000"), ("0b11", "0b11"), ("18446744073709551615", 2**64 - 1), ("=", "="), ("<<", "<<"),
        ("'42'", "42"), ('"no"', "no"), ('"a\\nb"', "a\nb"), ('"\\ud83d\\ude00"', "😀"), ("😀", "😀"),
        ("out/{job_id}.mp4", "out/{job_id}.mp4"), ("a {red|blue} cat", "a {red|blue} cat"), ("$seed", "$seed"),
        ("|\n  {a}\n  b\n", "{a}\nb\n"), ("[1, no, 1e3]", [1, "no", 1000.0]), ("{b: no}", {"b": "no"}), ("{}", {}),
    ],
)  # fmt: skip
def test_yaml_is_read_by_the_core_rules_of_yaml_1_2(written: str, value: object) -> None:
    got = read(f"a: {written}")["a"]
    assert got == value
    assert type(got) is type(value)


def test_yaml_keys_are_always_text() -> None:
    assert read("60: a\nno: b\n1e3: c\nnull: d") == {"60": "a", "no": "b", "1e3": "c", "null": "d"}


def test_an_older_yaml_by_name_is_read_as_yaml_1_2_all_the_same() -> None:
    assert read("%YAML 1.1\n---\na: no") == {"a": "no"}


@pytest.mark.parametrize("text", ["", " \n", "# only words\n", "{}", "---\n"])
def test_nothing_written_means_no_keys(text: str) -> None:
    assert read(text) == {}


@settings(max_examples=40)
@given(body=BODIES, options=st.sampled_from([{}, {"indent": 2}, {"ensure_ascii": False}]))
def test_any_json_is_read_as_it_is(body: dict[str, Any], options: dict[str, Any]) -> None:
    assert json.dumps(read(json.dumps(body, **options), json_only=True)) == json.dumps(body)


@settings(max_examples=25)
@given(body=BODIES, indent=st.sampled_from([None, 2]))
def test_any_json_is_read_as_it_is_by_the_rules_of_yaml_too(body: dict[str, Any], indent: int | None) -> None:
    """JSON is YAML: with the mark of a document in front, the same text takes the other way."""
    assert json.dumps(read("---\n" + json.dumps(body, indent=indent))) == json.dumps(body)


@settings(max_examples=30)
@given(body=BODIES)
def test_each_key_of_json_knows_its_line(body: dict[str, Any]) -> None:
    """Written one item a line, the n-th key or item stands in line n + 1."""
    places = read_body(json.dumps(body, indent=1), source="cell").places
    lines = json.dumps(body, indent=1).split("\n")
    for path, line in places.lines.items():
        if isinstance(path[-1], str):
            assert lines[line - 1].strip().startswith(json.dumps(path[-1]) + ":")


def test_each_key_of_yaml_knows_its_line() -> None:
    places = read_body("# first\na:\n  b: 1\n  c: [x,\n    y]\nd: {e: 1}\n", source="cell").places
    assert places.lines == {
        ("a",): 2, ("a", "b"): 3, ("a", "c"): 4, ("a", "c", 0): 4, ("a", "c", 1): 5, ("d",): 6, ("d", "e"): 6,
    }  # fmt: skip


@pytest.mark.parametrize("text", ['{\n"a": {"b": 1,\n"b": 2}}', "a:\n  b: 1\n  b: 2", "a: {b: 1,\n\n b: 2}"])
def test_a_key_that_stands_twice_is_refused_with_both_lines(text: str) -> None:
    error = refusal(text)
    assert "the key 'b' stands twice, first in line 2; remove one." in str(error).replace("line 1", "line 2")
    assert error.key == "a.b"
    assert error.line == 3


@pytest.mark.parametrize(
    ("text", "line", "fix"),
    [
        ("inputs:\n  image: {input.image}", 2, 'needs quotes: "{input.image}".'),
        ("params: {seed: {param.seed=42}}", 1, 'needs quotes: "{param.seed=42}".'),
        ("outputs:\n  video: {job_id}.mp4\n", 2, 'needs quotes: "{job_id}.mp4".'),
        ('{"inputs":\n {"image": {input.image}}}', 2, 'needs quotes: "{input.image}".'),
        ("a:\n  - {job_id}\n", 2, 'needs quotes: "{job_id}".'),
        ("a: {red|blue}", 1, 'needs quotes: "{red|blue}".'),
        ("a: {red, blue}", 1, "{red, blue} has no quotes. Put them around the whole text."),
    ],
)
def test_a_placeholder_without_quotes_is_answered_with_quotes(text: str, line: int, fix: str) -> None:
    error = refusal(text)
    assert fix in str(error)
    assert error.line == line


def test_in_a_json_file_a_placeholder_without_quotes_is_answered_with_quotes_too() -> None:
    error = refusal('{"inputs":\n {"image": {input.image}}}', json_only=True)
    assert "cell, line 2: not JSON: " in str(error)
    assert 'needs quotes: "{input.image}".' in str(error)


@pytest.mark.parametrize(
    ("text", "line", "said"),
    [
        ('{"a": 1\n "b": 2}', 2, "not JSON: Expecting ',' delimiter (column 2)."),
        ('{"a": 1', 1, "not JSON: "),
        ("a: [1\nb: 2", 2, "not YAML: expected ',' or ']'"),
        ("a:\n\tb: 1", 2, "Indent with spaces, not with tabs."),
        ("a: 1\nb: @x", 2, "A text that starts with this character needs quotes."),
        ("a: 1\nb: x: y", 2, "A text with a colon and a space in it needs quotes."),
        ("a: 'x\nb: 1", 2, "A quote is not closed."),
        ("a: *bold*", 1, "a text that starts with * needs quotes."),
        ("a: &x 1", 1, "a text that starts with & needs quotes."),
        ("a: !important", 1, "a text that starts with ! needs quotes."),
        ("a: 1\n---\nb: 1", 2, "a second document starts here"),
        ("a: 1\n? [x]\n: 1", 2, "a key must be a text."),
        ("a: 1\nb: \0", 2, "special characters are not allowed"),
        ("a: .inf", 1, ".inf is no finite number"),
        ("a: 1\nb: [-.nan, .NaN]", 2, ".NaN is no finite number"),
        ("a: 1e999", 1, "1e999 is no finite number"),
        ('{"a": [1,\n-Infinity]}', 2, "-Infinity is no finite number"),
        ('{"a": NaN}', 1, "NaN is no finite number"),
        ('{"a": 1e999}', 1, "1e999 is no finite number"),
        ("a: " + "1" * 5000, 1, "too many digits"),
        ('{"a": ' + "1" * 5000 + "}", None, "too many digits"),
        ("a: " + "[" * 60 + "]" * 60, 1, "nested more than 50 deep"),
        ('{"a": ' + "[" * 60 + "]" * 60 + "}", 1, "nested more than 50 deep"),
        ("a: " + "[" * 20_000, None, "nested"),
        ('{"a": ' + "[" * 200_000, None, "nested"),
        ("- 1", None, "expected keys such as `inputs:` and `params:`, got a list"),
        ("[1]", None, "got a list"),
        ("image:photo.jpg", None, "got a single value; write `key: value` with a space between."),
    ],
)
def test_what_cannot_be_read_is_one_line_with_place_and_fix(text: str, line: int | None, said: str) -> None:
    error = refusal(text)
    assert said in str(error)
    assert str(error).startswith("cell")
    if "nested" not in said or line:
        assert error.line == line


def test_what_starts_with_a_brace_may_be_yaml_in_braces_but_not_in_a_json_file() -> None:
    text = "{inputs: {image: photo.jpg},}"
    assert read(text) == {"inputs": {"image": "photo.jpg"}}
    assert "not JSON" in str(refusal(text, json_only=True))


@settings(max_examples=60)
@given(text=st.text(alphabet="ab: {}[]\"'\n\t-#&*!|>%@`,?0.$\\~é"))
def test_any_text_is_read_or_refused_in_one_line(text: str) -> None:
    said = ""
    try:
        read(text)
    except JobSpecError as error:
        said = str(error)
    assert "\n" not in said
