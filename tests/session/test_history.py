from __future__ import annotations

import pickle
import subprocess
import sys
from collections.abc import Iterator
from datetime import datetime, timedelta, timezone
from decimal import Decimal
from pathlib import Path

import pandas as pd
import pytest

from autopod_nb.config import LEDGER_NAME
from autopod_nb.log import hide
from autopod_nb.models.job import JobSpec, JobState, RemoteFile, ResultFile, Verified
from autopod_nb.models.money import Charge, MoneyKind, Purpose
from autopod_nb.session.frame import HistoryFrame, short_path, show_seconds
from autopod_nb.session.history import costs_frame, history_frame
from autopod_nb.storage.ledger import Ledger, LedgerWrite
from autopod_nb.storage.writes import ChargeRecorded, JobChanged, JobRecorded, PodIntent, ResultRecorded

_NOON = datetime(2026, 1, 1, 12, tzinfo=timezone.utc)
_DTYPES = {
    "job_id": "str",
    "attempt": "int64",
    "session": "str",
    "template": "str",
    "state": "category",
    "gpu": "category",
    "gpu_count": "Int64",
    "provider": "category",
    "kind": "category",
    "submitted": "datetime64[ns, UTC]",
    "started": "datetime64[ns, UTC]",
    "ended": "datetime64[ns, UTC]",
    "seconds": "float64",
    "cost_usd": "float64",
    "outputs": "object",
    "error": "str",
}


def _pod(pod_id: str, gpu: str, kind: MoneyKind) -> PodIntent:
    return PodIntent(
        pod_id=pod_id,
        name=f"autopod-{pod_id}",
        session_id="s1",
        provider="local",
        gpu_type=gpu,
        gpu_count=1,
        price_per_hour_usd=Decimal("0.4"),
        stopped_price_per_hour_usd=Decimal("0.01"),
        kind=kind,
        at=_NOON,
    )


def _job(job_id: str, session: str = "s1") -> JobRecorded:
    return JobRecorded(session_id=session, spec=JobSpec(job_id=job_id, workflow_template="img2vid-basic"), at=_NOON)


def _change(job_id: str, state: JobState, second: float, pod_id: str | None = None, error: str = "") -> JobChanged:
    at = _NOON + timedelta(seconds=second)
    return JobChanged(session_id="s1", job_id=job_id, attempt=1, state=state, at=at, pod_id=pod_id, error=error)


def _cost(pod_id: str, kind: MoneyKind, amount: str, job_id: str | None, purpose: Purpose) -> ChargeRecorded:
    charge = Charge(
        pod_id=pod_id,
        job_id=job_id,
        attempt=1 if job_id else 0,
        purpose=purpose,
        kind=kind,
        start=_NOON,
        seconds=Decimal(1),
        price_per_hour_usd=Decimal("0.4"),
        amount_usd=Decimal(amount),
    )
    return ChargeRecorded(session_id="s1", charge=charge)


def _file(job_id: str, path: Path) -> ResultRecorded:
    result = ResultFile(
        output="video",
        path=path,
        bytes=1,
        sha256="00" * 32,
        verified=Verified.SHA256,
        source=RemoteFile(node_id="9", filename=path.name),
    )
    return ResultRecorded(session_id="s1", job_id=job_id, attempt=1, result=result, at=_NOON)


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    """One job done on simulated money, one failed on real money, one that waits, one of another session."""
    simulated, real = MoneyKind.SIMULATED, MoneyKind.REAL
    story: list[LedgerWrite] = [
        _pod("p1", "A40", simulated),
        _pod("p2", "RTX A6000", real),
        _job("done"),
        _job("bad"),
        _job("waits"),
        _job("done", session="s2"),
        _change("done", JobState.RUNNING, 10, "p1"),
        _cost("p1", simulated, "0.000123", None, Purpose.BOOT),
        *[_cost("p1", simulated, "0.1", "done", Purpose.JOB)] * 3,
        _cost("p1", simulated, "0.000001", None, Purpose.IDLE),
        _cost("p1", simulated, "2", None, Purpose.STORAGE),
        _file("done", Path("outputs/one.mp4")),
        _file("done", Path("outputs/two.mp4")),
        _change("done", JobState.DONE, 22.5),
        _change("bad", JobState.RUNNING, 5, "p2"),
        _cost("p2", real, "0.25", "bad", Purpose.JOB),
        _change("bad", JobState.FAILED, 6, error="<b>no such node</b>"),
    ]
    with Ledger(tmp_path / LEDGER_NAME) as opened:
        opened.write(story)
        yield opened


def test_every_attempt_is_a_row_newest_first(ledger: Ledger) -> None:
    frame = history_frame(ledger.path)
    assert list(zip(frame["session"], frame["job_id"], frame["state"], strict=True)) == [
        ("s2", "done", "queued"),
        ("s1", "waits", "queued"),
        ("s1", "bad", "failed"),
        ("s1", "done", "done"),
    ]
    done = frame.iloc[3]
    assert (done["gpu"], done["gpu_count"], done["provider"], done["kind"]) == ("A40", 1, "local", "simulated")
    assert done["cost_usd"] == 0.3  # of the exact sum; three floats of 0.1 make another number
    assert (done["submitted"], done["started"]) == (_NOON, _NOON + timedelta(seconds=10))
    assert done["seconds"] == 12.5
    assert done["outputs"] == ["outputs/one.mp4", "outputs/two.mp4"]
    waits = frame.iloc[1]
    assert waits[["gpu", "gpu_count", "provider", "kind", "started", "ended", "seconds"]].isna().all()
    assert (waits["cost_usd"], waits["outputs"], waits["error"]) == (0.0, [], "")


def test_columns_have_their_types_also_when_there_is_nothing(ledger: Ledger, tmp_path: Path) -> None:
    full, empty = history_frame(ledger), history_frame(tmp_path / "none" / LEDGER_NAME)
    for frame in (full, empty):
        assert list(frame.columns) == list(_DTYPES)
        assert _names(frame) == [_name(dtype) for dtype in _DTYPES.values()]
        assert list(frame["state"].cat.categories) == [state.value for state in JobState]
        assert list(frame["kind"].cat.categories) == ["real", "simulated"]
    assert len(empty) == 0
    assert repr(empty) == "No jobs yet."
    assert "No jobs yet." in empty._repr_html_()


def _names(frame: pd.DataFrame) -> list[str]:
    return [str(dtype) for dtype in frame.dtypes]


def _name(dtype: str) -> str:
    return str(pd.Series([], dtype=dtype).dtype)  # "str" is "object" before pandas 3


def test_the_table_can_be_of_the_newest_or_of_one_session(ledger: Ledger) -> None:
    assert list(history_frame(ledger, limit=2)["job_id"]) == ["done", "waits"]
    assert list(history_frame(ledger, session="s1")["job_id"]) == ["waits", "bad", "done"]
    assert list(history_frame(ledger, session="s1", limit=1)["job_id"]) == ["waits"]
    assert history_frame(ledger, session="s3").empty


def test_costs_are_one_row_a_pod_by_purpose(ledger: Ledger, tmp_path: Path) -> None:
    costs = costs_frame(ledger).set_index("pod_id")
    assert list(costs.index) == ["p2", "p1"]
    sums = costs.loc["p1", ["boot_usd", "job_usd", "idle_usd", "storage_usd", "total_usd"]]
    assert list(sums) == [0.000123, 0.3, 0.000001, 2.0, 2.300124]
    assert list(costs["kind"]) == ["real", "simulated"]
    empty = costs_frame(tmp_path / "none" / LEDGER_NAME)
    assert _names(empty) == _names(costs_frame(ledger))
    assert costs_frame(ledger, session="s2").empty


def test_the_text_says_state_kind_of_money_and_result_in_words(ledger: Ledger) -> None:
    lines = repr(history_frame(ledger)).splitlines()
    assert lines[0].split("  ")[0] == "Job"
    assert "$0.3000 simulated" in lines[4]
    assert "done" in lines[4]
    assert "12.5 s" in lines[4]
    assert "outputs/one.mp4, outputs/two.mp4" in lines[4]
    assert "$0.2500 " in lines[3]
    assert "simulated" not in lines[3]
    assert "4 attempts: " in lines[5]
    assert "The jobs cost $0.2500 and $0.3000 simulated, without boot" in lines[5]


def test_the_html_is_escaped_and_says_states_in_words(ledger: Ledger) -> None:
    html = history_frame(ledger)._repr_html_()
    assert "<b>no such node" not in html
    assert "&lt;b&gt;no such node&lt;/b&gt;" in html
    for state in ("queued", "failed", "done"):
        assert f">{state}</span>" in html
    assert "<span>$</span>0.3000 simulated" in html
    assert html.count("$") == html.count("<span>$</span>"), "two prices of one run of text are taken for a formula"


def test_no_form_steers_a_terminal_or_shows_a_secret(ledger: Ledger) -> None:
    frame = history_frame(ledger)
    hide(secret := "planted-secret-of-the-history")
    frame["error"] = f"\x1b[31mred\u202e {secret}"
    for form in (repr(frame), frame._repr_html_()):
        assert "red" in form
        assert not {"\x1b", "\u202e"} & set(form)
        assert secret not in form


def test_what_has_no_history_of_jobs_in_it_any_more_shows_itself_as_pandas_does(ledger: Ledger) -> None:
    frame = history_frame(ledger)
    assert frame.is_history
    odd = [
        frame.assign(submitted="yesterday"),
        frame.assign(cost_usd="much"),
        frame.merge(pd.DataFrame({"job_id": ["none"]}), on="job_id", how="outer"),
        pd.concat([frame, frame], axis=1),
    ]
    for each in odd:
        assert not getattr(each, "is_history", False)
        assert "Submitted (UTC)" not in repr(each)
        assert each._repr_html_().startswith("<div>")


def test_a_long_table_shows_its_first_rows_and_says_how_many_follow(tmp_path: Path) -> None:
    with Ledger(tmp_path / LEDGER_NAME) as ledger:
        ledger.write([_job(f"job-{number}") for number in range(60)])
        frame = history_frame(ledger)
    assert "… and 10 more." in repr(frame)
    assert frame._repr_html_().count("<tr>") == 51
    assert "60 attempts: 60 queued." in repr(frame)


def test_rows_taken_out_show_themselves_the_same_way(ledger: Ledger) -> None:
    frame = history_frame(ledger)
    for part in (
        frame.head(1),
        frame[frame["state"] == "done"],
        frame.query("cost_usd > 0"),
        frame.sort_values("job_id"),
    ):
        assert isinstance(part, HistoryFrame)
        assert "Submitted (UTC)" in part._repr_html_()


def test_in_every_other_way_it_is_a_plain_frame(ledger: Ledger) -> None:
    frame = history_frame(ledger)
    assert type(frame[["job_id", "cost_usd"]]) is pd.DataFrame
    assert type(frame.drop(columns="state")) is pd.DataFrame
    assert type(frame.describe()) is pd.DataFrame
    grouped = frame.groupby("gpu", observed=True)["cost_usd"].sum()
    assert grouped.to_dict() == {"A40": 0.3, "RTX A6000": 0.25}
    merged = frame.merge(pd.DataFrame({"job_id": ["bad"], "note": ["x"]}), on="job_id")
    assert list(merged["note"]) == ["x"]
    assert len(pd.concat([frame, frame])) == 8
    assert frame.T.shape == (16, 4)
    assert "job_id" in repr(frame.T)
    assert frame.rename(columns={"state": "was"})._repr_html_().startswith("<div>")
    again = pickle.loads(pickle.dumps(frame))  # noqa: S301 - our own bytes
    pd.testing.assert_frame_equal(again, frame)


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [
        (0.04, "0.0 s"),
        (59.94, "59.9 s"),
        (125.4, "2 min 05 s"),
        (3600, "1 h 00 min"),
        (7380, "2 h 03 min"),
        (float("nan"), "–"),
    ],
)
def test_durations_are_shown_in_the_largest_unit_that_fits(seconds: float, shown: str) -> None:
    assert show_seconds(seconds) == shown


def test_paths_are_shown_from_the_working_folder_or_home_or_by_their_end(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    work = tmp_path / "work"
    work.mkdir()
    monkeypatch.chdir(work)
    assert short_path(str(work / "outputs" / "a.mp4")) == "outputs/a.mp4"
    assert short_path(str(tmp_path / "a.mp4")) == "~/a.mp4"
    assert short_path("/" + "long/" * 20 + "last/a.mp4") == "…/last/a.mp4"
    assert short_path("img2vid-basic") == "img2vid-basic"


def test_the_module_loads_pandas_only_when_a_table_is_made() -> None:
    code = "import sys, autopod_nb.session.history; print('pandas' in sys.modules, 'numpy' in sys.modules)"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    assert run.stdout.strip() == "False False"
