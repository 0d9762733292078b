"""The state as JSON: for tools, with exact money."""

from __future__ import annotations

import json
from dataclasses import replace
from decimal import Decimal

from autopod_nb.models.money import MoneyKind
from autopod_nb.models.snapshot import Alert, AlertKind, Level
from autopod_nb.widgets.status_json import status_json
from tests.widgets.views import DONE, FAILED, POD, RUNNING, snapshot


def test_money_is_exact_text_and_says_whether_it_is_real() -> None:
    facts = json.loads(status_json(snapshot(RUNNING)))
    assert facts["cost_usd"] == {"simulated": "0.0012"}
    assert facts["limit_usd"] == "10"
    assert facts["pods"][0]["price_per_hour_usd"] == "0.40"
    assert (facts["jobs"][0]["cost_usd"], facts["jobs"][0]["money"]) == ("0.0004", "simulated")


def test_pods_jobs_results_and_notices_are_in_it() -> None:
    facts = json.loads(status_json(snapshot(DONE, texts=("Careful.",))))
    assert facts["pods"][0]["pod_id"] == POD.pod_id
    assert facts["jobs"][0]["results"][0]["path"] == "/elsewhere/portrait.mp4"
    assert facts["notices"][0]["text"] == "Careful."
    assert json.loads(status_json(snapshot(FAILED)))["jobs"][0]["error"].startswith("The workflow failed")


def test_without_a_session_the_same_lists_are_there_and_empty() -> None:
    facts = json.loads(status_json(None))
    assert all(not facts[key] for key in ("pods", "jobs", "cost_usd", "today_usd", "forecast_usd", "alerts", "notices"))
    assert (facts["limit_usd"], facts["day_limit_usd"], facts["forecast_complete"]) == (None, None, True)
    assert facts.keys() | {"at", "reaper"} == json.loads(status_json(snapshot())).keys()


def test_what_is_spent_today_what_is_to_come_and_what_is_wrong_is_in_it() -> None:
    alert = Alert(
        kind=AlertKind.STUCK,
        level=Level.WARNING,
        text="No\x1b[31m progress.",
        key="k",
        pod_id="3fa2c1",
        job_id="portrait",
    )
    progress = replace(RUNNING.progress, left_low_s=3.0, left_high_s=6.5)
    pod = replace(POD, boot_s=1.5, ending=True)
    session = replace(
        snapshot(replace(RUNNING, progress=progress), pods=(pod,)),
        today_usd={MoneyKind.SIMULATED: Decimal("0.31"), MoneyKind.REAL: Decimal("1.20")},
        day_limit_usd=Decimal(5),
        forecast_usd={MoneyKind.SIMULATED: Decimal("0.0049")},
        forecast_complete=False,
        alerts=(alert,),
    )
    facts = json.loads(status_json(session))
    assert facts["today_usd"] == {"simulated": "0.31", "real": "1.20"}
    assert (facts["day_limit_usd"], facts["forecast_complete"]) == ("5", False)
    assert facts["forecast_usd"] == {"simulated": "0.0049"}
    (told,) = facts["alerts"]
    assert (told["kind"], told["pod_id"], told["job_id"]) == ("stuck", "3fa2c1", "portrait")
    assert "\x1b" not in told["text"]
    assert [facts["jobs"][0][key] for key in ("left_low_s", "left_s", "left_high_s")] == [3.0, 4.2, 6.5]
    assert [facts["pods"][0][key] for key in ("boot_s", "ending", "bills", "storage_only")] == [1.5, True, True, False]
