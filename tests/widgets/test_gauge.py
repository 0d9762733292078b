"""The gauge of money: what its colour says stands in its words, too."""

from __future__ import annotations

from decimal import Decimal
from xml.etree import ElementTree as ET

import pytest
from hypothesis import given
from hypothesis import strategies as st

from autopod_nb.models.money import MoneyKind
from autopod_nb.widgets.gauge import gauge_svg


def parts(svg: str) -> tuple[str, int, str]:
    """(label, hue of the arc, the big text)."""
    root = ET.fromstring(svg)  # noqa: S314 - our own
    hue = next(path.attrib["stroke"] for path in root.iter("path") if path.attrib["stroke"].startswith("hsl"))
    return root.attrib["aria-label"], int(hue[4:].split(",")[0]), next(root.iter("text")).text or ""


@pytest.mark.parametrize(
    ("spent", "hue", "end"), [("0", 130, "real money"), ("9.5", 6, "near it"), ("12", 0, "stops here")]
)
def test_from_green_to_red_and_in_words(spent: str, hue: int, end: str) -> None:
    label, found, big = parts(gauge_svg(Decimal(spent), Decimal(10), MoneyKind.REAL, name="session"))
    assert found == hue
    assert label.endswith(end)
    assert big == f"{Decimal(spent) * 10:.0f} %"


@given(st.decimals(0, 10_000, places=4), st.decimals("0.01", 1000, places=2), st.sampled_from(MoneyKind))
def test_any_amount_is_a_picture_with_words_that_no_notebook_takes_for_a_formula(
    spent: Decimal, limit: Decimal, kind: MoneyKind
) -> None:
    svg = gauge_svg(spent, limit, kind, name="session")
    label, hue, _ = parts(svg)
    assert 0 <= hue <= 130
    assert ("simulated" in label) == (kind is MoneyKind.SIMULATED)
    assert "$" not in svg
