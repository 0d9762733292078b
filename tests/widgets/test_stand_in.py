"""What stands in for a panel without its kernel; how JupyterLab shows it is seen in the browser tests."""

from __future__ import annotations

from autopod_nb.widgets.stand_in import stand_in


def test_it_is_hidden_wherever_nothing_shows_it() -> None:
    bundle = stand_in()
    assert bundle["text/plain"] == ""
    style, _, words = bundle["text/html"].partition("</style>")
    assert words.startswith('<div class="autopod-stand-in" hidden>')
    assert "%autopod adopt" in words
    assert style.startswith("<style>")


def test_no_selector_has_another_has_within_for_then_a_browser_drops_all_of_them() -> None:
    style = stand_in()["text/html"].partition("</style>")[0]
    depth, deepest = 0, 0
    for letter in style:
        depth += {"(": 1, ")": -1}.get(letter, 0)
        deepest = max(deepest, depth)
    assert deepest == 1


def test_a_panel_that_is_over_needs_none() -> None:
    assert stand_in(needed=False)["text/html"].endswith(" hidden></div>")
