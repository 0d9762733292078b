"""Texts and boxes that share a look."""

from __future__ import annotations

from autopod_nb.widgets import plain
from autopod_nb.widgets.controls import button
from autopod_nb.widgets.traits import take_away


def test_one_look_does_for_all_and_outlives_each_of_them() -> None:
    one, two = plain.text(), plain.text()
    assert one.layout is two.layout is plain.box(one).layout
    assert one.style is two.style
    take_away(plain.box(one))
    assert one.comm is None
    assert plain.text().layout is two.layout
    assert two.layout.comm is not None


def test_what_is_to_be_hidden_has_a_layout_of_its_own() -> None:
    one, two = (button(text, "Does nothing", lambda: None) for text in ("One", "Two"))
    assert one.layout is not two.layout
    assert one.style is two.style


def test_a_look_that_somebody_has_closed_is_made_anew() -> None:
    """As ``Widget.close_all()`` does: what refers to a closed layout would not be drawn at all."""
    text = plain.text()
    closed = text.layout, text.style, plain.button_style()
    for each in closed:
        each.close()
    again = plain.text()
    assert again.layout.comm is not None
    assert again.style.comm is not None
    assert plain.button_style().comm is not None
