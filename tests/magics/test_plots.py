"""The option ``--plot`` of ``costs`` and ``jobs``, as lines in IPython."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from IPython.core.interactiveshell import InteractiveShell
from IPython.utils.capture import capture_output

from autopod_nb.config import LEDGER_NAME
from autopod_nb.session.build import current_session
from autopod_nb.storage.ledger import Ledger
from autopod_nb.widgets.charts import PLOTLY_TYPE, Charts
from tests.magics.cells import refusal, run, session_now, worth
from tests.session.test_timeline import write_timeline


def drawn(shell: InteractiveShell, line: str) -> Charts:
    """What a line is worth that must bring figures."""
    charts = worth(shell, line)
    assert isinstance(charts, Charts), charts
    return charts


def names(charts: Charts) -> list[str]:
    return [chart.name for chart in charts]


class TestLines:
    """In IPython; these build on each other."""

    @pytest.mark.parametrize(
        ("line", "words"),
        [
            ("costs --plot --month 2026-03", "Nothing was booked in 2026-03 (UTC), so there is nothing to draw."),
            ("jobs --plot", "No session is open: `%autopod jobs --all --plot` draws those of earlier ones."),
            ("jobs --all --plot", "No pod has been paid for yet, so there is nothing to draw."),
        ],
    )
    def test_an_empty_ledger_gets_words_and_no_empty_figure(
        self, shell: InteractiveShell, line: str, words: str
    ) -> None:
        assert str(worth(shell, f"%autopod {line}")) == words
        assert current_session() is None, "nothing is opened to draw"

    @pytest.mark.parametrize(
        ("line", "words"),
        [
            ("costs --plot --by pod", "--plot draws figures, and --by gives something else"),
            ("costs --plot --json", "--plot draws figures, and --json gives something else"),
            ("jobs --plot --json", "leave one of them out"),
            ("costs --plot --month 2026-5", "write it as 2026-05"),
        ],
    )
    def test_a_mistake_is_one_line(self, shell: InteractiveShell, line: str, words: str) -> None:
        assert words in refusal(shell, f"%autopod {line}")

    def test_a_month_is_drawn_as_cost_over_time_cost_of_a_result_and_waste(
        self, shell: InteractiveShell, home: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        with Ledger(home / LEDGER_NAME) as ledger:
            write_timeline(ledger)
        charts = drawn(shell, "%autopod costs --plot --month 2026-03")
        assert names(charts) == [
            "Cost of month 2026-03",
            "Cost per result by GPU and template, month 2026-03",
            "Waste beside paid render time, month 2026-03",
        ]
        assert charts[0].alt.endswith("No limit is set for it.")
        monkeypatch.setenv("AUTOPOD_MAX_COST_MONTH", "1")
        limited = drawn(shell, "%autopod costs --plot --month 2026-03")
        assert "57 % of the limit" in limited[0].alt

    def test_all_sessions_are_drawn_as_pods_and_jobs_and_seconds_per_frame(self, shell: InteractiveShell) -> None:
        charts = drawn(shell, "%autopod jobs --all --plot")
        assert names(charts) == [
            "Pods and jobs, all sessions",
            "Seconds per frame by GPU and template, all sessions",
        ]

    def test_a_cell_shows_each_figure_with_its_words_below(self, shell: InteractiveShell) -> None:
        with capture_output() as captured:
            shell.run_cell("%autopod jobs --all --plot")  # type: ignore[no-untyped-call]  # IPython is half typed
        kinds = [PLOTLY_TYPE in output.data for output in captured.outputs]
        assert kinds == [True, False, True, False]
        assert all({"text/plain", "text/html"} <= set(output.data) for output in captured.outputs)

    def test_a_session_is_drawn_with_its_limit_and_its_own_pods(self, shell: InteractiveShell) -> None:
        worth(shell, "%autopod connect --max-cost 2")
        run(shell, "%autopod wait")
        (pod_id,) = session_now().snapshot.pods
        ours, *others = drawn(shell, "%autopod costs --plot")
        assert ours.name == "Cost of the pods of this session"
        assert "The limit is $2.00 of each kind of money, with a warning at $1.80" in ours.alt
        assert names(Charts(tuple(others)))[0].startswith("Cost of month ")
        charts = drawn(shell, "%autopod jobs --plot")
        assert names(charts) == ["Pods and jobs, this session"]
        assert {row[0].text for row in charts[0].table.rows} == {pod_id}
        assert charts.notes[0].startswith("Seconds per frame cannot be told yet")
        run(shell, "%autopod kill --yes")


def test_plotly_waits_until_something_is_drawn() -> None:
    script = (
        "import sys\nimport autopod_nb.magics.command, autopod_nb.magics.plots, autopod_nb.session.timeline_frames\n"
        "assert not {'plotly', 'pandas', 'numpy'} & set(sys.modules)\n"
        "import autopod_nb.widgets.chart_gantt\nassert 'plotly' in sys.modules\n"
    )
    run_ = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=60, check=False)
    assert run_.returncode == 0, run_.stderr
