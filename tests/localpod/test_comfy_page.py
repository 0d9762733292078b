"""The page of the built-in engine."""

from __future__ import annotations

import re
from pathlib import Path

import requests

from autopod_nb.localpod.comfy_page import page
from tests.localpod.comfy_harness import PATIENCE_S, EngineThread


def test_the_engine_serves_its_page_at_its_root_and_under_the_api(tmp_path: Path) -> None:
    with EngineThread(tmp_path) as engine, requests.Session() as http:
        answers = [http.get(engine.url + path, timeout=PATIENCE_S) for path in ("/", "/api/")]
    assert {answer.headers["Content-Type"] for answer in answers} == {"text/html; charset=utf-8"}
    assert all("Built-in engine" in answer.text for answer in answers)


def test_the_page_takes_all_from_below_its_own_address() -> None:
    text = page("0.0.1", "A40")
    assert not re.findall(r"""(?:src|href|action)=(?!"data:)|https?://|url\(|fetch\(""", text)
    assert "location.pathname.replace(/[^/]*$/, '')" in text
    assert "${location.host}${base}ws?clientId=" in text


def test_what_the_pod_claims_to_be_is_shown_as_text() -> None:
    text = page("<b>", "<script>alert(1)</script>")
    assert "<b>" not in text
    assert "<script>alert" not in text
    assert "innerHTML" not in text
