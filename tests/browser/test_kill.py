"""Kill, as a person presses it, seen from the provider's side of the line."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import expect

from tests.browser.cells import LOAD
from tests.browser.opened import BOTH, Opener
from tests.fakes.service import RunpodService

_KILL = re.compile(r"^Kill ")
_DELETE = "DELETE /v2/pods/{id}"


@pytest.mark.slow
@pytest.mark.parametrize("ipykernel", BOTH)
def test_a_press_ends_a_rented_pod_and_says_so_only_when_it_is_gone(nb: Opener, rented: RunpodService) -> None:
    page = nb(LOAD, "%autopod connect")
    assert page.run(0)
    assert page.run(1)
    expect(page.output(1).get_by_text("● ready")).to_be_visible()
    page.shot("rented-ready", page.output(1))
    (before,) = rented.pods()
    pressed_s = page.press(page.button(_KILL, 1))
    expect(page.output(1).get_by_text("● terminated")).to_be_visible()
    page.shot("rented-terminated", page.output(1))
    ends = rented.requests(_DELETE)
    assert [before["id"] in each["path"] for each in ends] == [True]
    assert ends[0]["at"] > pressed_s
    assert ends[0]["at"] - pressed_s < 1.0
    (bill,) = rented.bill()["pods"]
    assert bill["billing_ended_at"] is not None
    assert page.errors == []
