"""Options for many pods: what they mean, what they refuse, and what a dry run and the status say of them."""

from __future__ import annotations

import json
from argparse import Namespace
from decimal import Decimal
from pathlib import Path

import pytest
from IPython.core.interactiveshell import InteractiveShell

from autopod_nb.errors import UsageError
from autopod_nb.magics.fleet import fleet_request
from autopod_nb.magics.parser import parse_options
from autopod_nb.models.job import JobState
from autopod_nb.models.pod import PodState
from autopod_nb.pods.fleet_facts import Aim
from autopod_nb.verbs import BY_NAME, CELL
from autopod_nb.widgets.card import money_html
from autopod_nb.widgets.render import session_text
from tests.magics.cells import refusal, run, session_now, worth, write_templates

ROOT = Path(__file__).parents[2]
BODY = "inputs:\n  image: $image\n"


@pytest.fixture
def in_a_folder_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, shell: InteractiveShell) -> None:
    monkeypatch.chdir(tmp_path)
    shell.user_ns["image"] = ROOT / "jobs" / "inputs" / "portrait.jpg"


def _args(line: str) -> Namespace:
    return parse_options(CELL, ["img2vid-basic", *line.split()]).args


class TestOptions:
    @pytest.mark.parametrize(
        ("line", "max_pods", "aim", "budget", "minutes"),
        [
            ("--max-pods 3", 3, Aim.CHEAPEST, None, None),
            ("--auto", None, Aim.CHEAPEST, None, None),
            ("--max-pods 3 --budget $2", 3, Aim.CHEAPEST, Decimal(2), None),
            ("--max-pods 3 --fastest --budget 2", 3, Aim.FASTEST, Decimal(2), None),
            ("--auto --within 30", None, Aim.DEADLINE, None, Decimal(30)),
            ("--auto --within 30 --budget 1", None, Aim.DEADLINE, Decimal(1), Decimal(30)),
        ],
    )
    def test_each_mode(
        self, line: str, max_pods: int | None, aim: Aim, budget: Decimal | None, minutes: Decimal | None
    ) -> None:
        wish = fleet_request(_args(line))
        assert wish is not None
        assert (wish.max_pods, wish.aim, wish.budget_usd, wish.within_minutes) == (max_pods, aim, budget, minutes)

    def test_without_any_of_them_there_is_no_wish(self) -> None:
        assert fleet_request(_args("")) is None
        assert fleet_request(_args("--yes")) is None

    @pytest.mark.parametrize(
        ("line", "words"),
        [
            ("--fastest", "say --max-pods N or --auto, too"),
            ("--budget 1", "say --max-pods N or --auto, too"),
            ("--within 5", "say --max-pods N or --auto, too"),
            ("--max-pods 3 --auto", "--max-pods and --auto are both given"),
            ("--auto --fastest --within 5 --budget 1", "--fastest and --within are both given"),
            ("--auto --fastest", "--fastest needs a --budget"),
        ],
    )
    def test_what_does_not_go_together_is_said_in_one_line(self, line: str, words: str) -> None:
        with pytest.raises(UsageError, match=words):
            fleet_request(_args(line))

    @pytest.mark.parametrize("verb", [CELL, BY_NAME["run"], BY_NAME["connect"]])
    def test_everybody_who_rents_pods_has_them(self, verb: object) -> None:
        names = {option.name for option in verb.options}  # type: ignore[attr-defined] # of a verb
        assert {"--max-pods", "--auto", "--fastest", "--budget", "--within", "--yes"} <= names


@pytest.mark.usefixtures("in_a_folder_of_its_own")
class TestInANotebook:
    def test_a_dry_run_names_the_pods_that_there_may_be_and_makes_none(self, shell: InteractiveShell) -> None:
        text = str(worth(shell, "%autopod connect --max-pods 3 --fastest --budget 2 --dry-run"))
        assert "At most 3 pods at a time: fastest within a budget, for $2.00 in all." in text
        assert "may be A40 × 1 (this machine) at $0.40 an hour simulated" in text
        assert "nothing was made" in text
        text = str(worth(shell, f"%%comfyjob img2vid-basic --auto --within 30 --dry-run\n{BODY}"))
        assert "cheapest before a deadline of 30 minutes" in text
        assert "upload image" in text
        assert "At once: RTX A5000 at $0.2700 simulated an hour is started for one job" in text
        assert "All done in about" in text
        poor = str(worth(shell, f"%%comfyjob img2vid-basic --max-pods 2 --budget 0.000001 --dry-run\n{BODY}"))
        assert "At once nothing would be rented." in poor
        assert "No pod for 1 of the jobs: The budget leaves" in poor
        assert session_now().snapshot.fleet is None
        assert not session_now().snapshot.pods

    def test_one_pod_and_many_are_not_said_at_once(self, shell: InteractiveShell) -> None:
        assert "say one of them" in refusal(shell, "%autopod connect --pods 2 --max-pods 3")
        assert "say one of them" in refusal(shell, f"%%comfyjob img2vid-basic --pod p1 --auto\n{BODY}")

    def test_the_wish_is_seen_in_the_status_and_dropped_with_all_pods(self, shell: InteractiveShell) -> None:
        worth(shell, "%autopod connect --max-pods 3 --budget 2")
        session = session_now()
        assert not session.snapshot.pods, "nothing is rented before a job waits"
        assert worth(shell, "%autopod status") is session
        status = session_text(session.snapshot)
        assert "cheapest, at most 3 pods · $0.0000 simulated of $2.00 budget" in status
        assert "Fleet: cheapest, at most 3 pods" in money_html(session.snapshot), "as the panel shows it"
        fleet = json.loads(str(worth(shell, "%autopod status --json")))["fleet"]
        assert (fleet["aim"], fleet["max_pods"], fleet["budget_usd"]) == ("cheapest", 3, "2")
        assert "No more pods are started" in str(worth(shell, "%autopod stop --all"))
        assert session.snapshot.fleet is None
        assert "Fleet" not in session_text(session.snapshot)

    def test_a_sweep_without_a_pod_starts_what_pays_and_ends_it(self, shell: InteractiveShell, tmp_path: Path) -> None:
        """The cell alone is enough: nobody connects before, nobody stops after."""
        write_templates(tmp_path / "templates", "noise")
        code = "%%comfyjob noise --name swept --max-pods 3 --wait -o swept\nsweep: {seed: [1, 2, 3, 4]}"
        result, text = run(shell, code)
        assert result.success, text
        assert set(shell.user_ns["swept"].states.values()) == {JobState.DONE}
        result, text = run(shell, "%autopod wait")
        assert result.success, text
        snapshot = session_now().snapshot
        assert [pod.state for pod in snapshot.pods.values()] == [PodState.TERMINATED]
        assert sum("is started for 4 jobs" in notice.text for notice in snapshot.notices) == 1
