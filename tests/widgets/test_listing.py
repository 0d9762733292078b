"""Tables of pods and jobs: what a person needs to see which money runs; pure."""

from __future__ import annotations

import json
from dataclasses import replace
from decimal import Decimal

from autopod_nb.models.money import MoneyKind
from autopod_nb.models.pod import PodState
from autopod_nb.session.others import OtherPod
from autopod_nb.widgets.listing import jobs_table, pods_table
from autopod_nb.widgets.status_json import jobs_json, pods_json
from autopod_nb.widgets.table import Cell, Table, table_html, table_text
from tests.widgets.views import DONE, FAILED, POD, RUNNING, snapshot

NOBODYS = OtherPod(
    pod_id="aaaaaa",
    provider="runpod",
    gpu_type="A40",
    gpu_count=2,
    state=PodState.STOPPED,
    kind=MoneyKind.REAL,
    price_per_hour_usd=Decimal("0.02"),
    cost_usd=Decimal("1.5"),
    owner="",
)
OWNED = replace(NOBODYS, pod_id="bbbbbb", owner="kernel 77 on box")


def test_each_pod_has_a_row_and_what_is_nobodys_is_said_below() -> None:
    text = table_text(pods_table(snapshot(), [NOBODYS, OWNED]))
    _, ours, nobodys, owned, note = text.splitlines()
    assert ours.split("  ")[0] == "3fa2c1"
    assert ours.split()[-4:] == ["this", "session", "8188", "–"]
    assert "$1.50" in nobodys
    assert "nobody" in nobodys
    assert "kernel 77 on box" in owned
    assert note == "Pod aaaaaa may bill ($0.02 an hour) and is nobody's: `%autopod adopt` takes it over."


def test_pods_that_are_gone_are_counted_and_no_pod_is_said() -> None:
    gone = replace(POD, state=PodState.TERMINATED)
    text = table_text(pods_table(snapshot(pods=(gone,)), []))
    assert text.splitlines() == [
        "No pod is known that may bill: `%autopod connect` rents one.",
        "1 pod of this session ended; `%autopod status` has all.",
    ]


def test_the_newest_job_comes_first_and_reasons_stand_below() -> None:
    jobs = (replace(DONE, job_id="a"), replace(RUNNING, job_id="b"), replace(FAILED, job_id="c"))
    lines = table_text(jobs_table(snapshot(*jobs))).splitlines()
    assert [line[0] for line in lines[1:4]] == ["c", "b", "a"]
    assert "40 % · frame 12" in lines[2]
    assert "/elsewhere/portrait.mp4" in lines[3]
    assert lines[4] == "c: The workflow failed in node 5: give it a smaller image."


def test_json_keeps_money_exact_and_says_whose_a_pod_is() -> None:
    rows = json.loads(pods_json(snapshot(), [NOBODYS]))
    assert [(row["pod_id"], row["owner"], row["cost_usd"]) for row in rows] == [
        ("3fa2c1", "this session", "0.0012"),
        ("aaaaaa", "", "1.5"),
    ]
    assert [row["state"] for row in json.loads(jobs_json(snapshot(DONE, replace(RUNNING, job_id="x"))))] == [
        "done",
        "running",
    ]
    assert json.loads(jobs_json(None)) == []


def test_a_table_is_escaped_keeps_its_columns_and_names_itself() -> None:
    table = Table(name="<T>", headings=("A", "B"), rows=[(Cell("<x>"), Cell("$1\n$2", "red"))], notes=("n & m",))
    html = table_html(table)
    assert "<x>" not in html
    assert "&lt;x&gt;" in html
    assert "n &amp; m" in html
    assert 'aria-label="&lt;T&gt;"' in html
    assert "color:red" in html
    assert "$1" not in html, "two prices would become a formula"
    assert table_text(table).splitlines() == ["A    B", "<x>  $1 $2", "n & m"]


def test_an_empty_table_is_its_notes() -> None:
    table = Table(name="T", headings=("A",), rows=[], notes=("Nothing.",))
    assert table_text(table) == "Nothing."
    assert "<table" not in table_html(table)
