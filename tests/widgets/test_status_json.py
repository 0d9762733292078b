"""The state as JSON: for tools, with exact money."""

from __future__ import annotations

import json

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
    assert facts == {"pods": [], "jobs": [], "cost_usd": {}, "limit_usd": None, "notices": []}
