"""The verbs ``costs`` and ``reconcile``: as lines in IPython, and their tables as plain values."""

from __future__ import annotations

import json
from datetime import datetime, timedelta, timezone
from decimal import Decimal
from pathlib import Path

import pandas as pd
import pytest
from IPython.core.interactiveshell import InteractiveShell

from autopod_nb.config import LEDGER_NAME
from autopod_nb.magics.costs import costs_table, reconcile_table
from autopod_nb.models.money import MoneyKind
from autopod_nb.models.reconciliation import KnownPod, Reconciliation, Stretch, compare
from autopod_nb.session.build import current_session
from autopod_nb.session.costs import Costs, Spent, read_costs
from autopod_nb.storage.ledger import Ledger
from autopod_nb.widgets.table import table_html, table_text
from tests.magics.cells import refusal, run, session_now, worth
from tests.session.test_costs import NOW, write_story

REAL, SIMULATED = MoneyKind.REAL, MoneyKind.SIMULATED


class TestTables:
    def test_real_and_simulated_money_have_a_column_each_and_no_sum(self, tmp_path: Path) -> None:
        with Ledger(tmp_path / LEDGER_NAME) as ledger:
            write_story(ledger)
        lines = table_text(costs_table(read_costs(tmp_path / LEDGER_NAME, now=NOW))).splitlines()
        assert lines[0].split() == ["real", "simulated"]
        assert lines[1].split() == ["Today", "$0.2500", "$0.4230", "simulated"]
        assert lines[2].split() == ["Month", "2026-03", "$0.2500", "$0.4230", "simulated"]
        amounts = {" ".join(line.split()[:-3]): line.split()[-3:] for line in lines[3:10]}
        assert amounts["– waste, all of what follows"] == ["$0.2500", "$0.1230", "simulated"]
        assert amounts["– – boot of pods that never became ready"] == ["$0.2500", "$0.0000", "simulated"]
        assert amounts["– – boot of pods that became ready"] == ["$0.0000", "$0.1000", "simulated"]
        assert amounts["– – idle pods"] == ["$0.0000", "$0.0200", "simulated"]
        assert "not added" in lines[10]
        assert "0.673" not in "\n".join(lines), "that would be their sum"

    def test_a_kind_that_was_spent_in_the_month_but_not_today_is_nothing_today(self) -> None:
        month = datetime(2026, 3, 1, tzinfo=timezone.utc)
        text = table_text(costs_table(Costs(month=month, today={}, in_month={REAL: Spent(total_usd=Decimal(2))})))
        assert text.splitlines()[1].split() == ["Today", "$0.0000"]

    def test_a_month_without_anything_says_so(self) -> None:
        month = datetime(2026, 3, 1, tzinfo=timezone.utc)
        assert "Nothing was booked in 2026-03" in table_text(costs_table(Costs(month=month, today=None, in_month={})))

    def test_a_comparison_says_until_when_and_flags_what_is_unknown(self) -> None:
        text = table_text(reconcile_table(_comparison(), "far")).splitlines()
        assert text[0].split() == ["Pod", "Booked", "here", "Billed", "by", "far", "Difference", "%", "Note"]
        assert text[1].split() == ["new", "–", "$3.00", "–", "–", "not", "in", "the", "ledger"]
        assert text[2].split()[:5] == ["our-odd", "$1.00", "$0.5000", "-$0.5000", "-50.0"]
        assert text[3].split() == ["vol", "–", "$0.0200", "–", "–", "network", "volume"]
        assert text[4].startswith("Not in this ledger: new.")
        assert text[5].startswith("Compared from 2026-01-01 12:00 to 2026-01-08 11:00 UTC")
        total = "booked $1.00, billed $0.5000, unknown pods $3.00, network volumes $0.0200."
        assert text[6] == f"Pods of the ledger: {total}"

    def test_a_comparison_has_an_html_form_that_is_escaped(self) -> None:
        html = table_html(reconcile_table(_comparison("<b>"), "far"))
        assert "<b>" not in html
        assert "&lt;b&gt;" in html


def _comparison(unknown: str = "new") -> Reconciliation:
    now = datetime(2026, 1, 8, 12, 30, tzinfo=timezone.utc)
    start = datetime(2026, 1, 8, 9, tzinfo=timezone.utc)

    def row(name: str, amount: str, *, is_volume: bool = False) -> Stretch:
        end = start + timedelta(hours=1)
        return Stretch(provider_id=name, start=start, end=end, amount_usd=Decimal(amount), is_volume=is_volume)

    pods = [KnownPod(pod_id="our-odd", provider_id="odd", kind=REAL, over=True)]
    billed = [row(unknown, "3"), row("odd", "0.5"), row("vol", "0.02", is_volume=True)]
    return compare(pods, [row("odd", "1")], billed, since=now - timedelta(days=7), now=now, kind=REAL)


class TestLines:
    """In IPython; these build on each other."""

    def test_nothing_is_opened_to_say_that_nothing_was_spent(self, shell: InteractiveShell) -> None:
        assert "Nothing was booked in " in str(worth(shell, "%autopod costs"))
        assert "Neither side has anything." in str(worth(shell, "%autopod reconcile"))
        assert json.loads(str(worth(shell, "%autopod costs --json --by pod"))) == []
        assert current_session() is None

    @pytest.mark.parametrize(
        ("line", "words"),
        [
            ("costs --month 2026-5", "write it as 2026-05"),
            ("costs --by pods", "Did you mean 'pod'?"),
            ("reconcile --days 0", "is not a whole number above zero"),
            ("reconcile --provider rumpod", "There is no provider 'rumpod'"),
        ],
    )
    def test_a_mistake_is_one_line(self, shell: InteractiveShell, line: str, words: str) -> None:
        assert words in refusal(shell, f"%autopod {line}")

    def test_a_pod_that_did_nothing_is_waste_and_its_bill_agrees(self, shell: InteractiveShell) -> None:
        worth(shell, "%autopod connect")
        run(shell, "%autopod wait")
        run(shell, "%autopod kill --yes")
        run(shell, "%autopod wait")
        (pod_id,) = session_now().snapshot.pods
        facts = json.loads(str(worth(shell, "%autopod costs --json")))
        spent = facts["in_month"]["simulated"]
        assert "real" not in facts["in_month"]
        assert Decimal(spent["waste_usd"]) == Decimal(spent["total_usd"]) > 0
        frame = worth(shell, "%autopod costs --by pod")
        assert isinstance(frame, pd.DataFrame)
        assert list(frame["pod_id"]) == [pod_id]
        (line,) = json.loads(str(worth(shell, "%autopod reconcile --days 1 --json")))["lines"]
        assert (line["pod_id"], line["note"], line["money"]) == (pod_id, "agrees", "simulated")
        assert pod_id in str(worth(shell, "%autopod reconcile"))
