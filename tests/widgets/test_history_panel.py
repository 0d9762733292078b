"""The history's panel: filters, pages, totals and files, pressed as a front end would press them."""

from __future__ import annotations

import base64
import importlib.util
import json
import re
import sys
import threading
from collections.abc import Iterator
from datetime import date
from io import BytesIO, StringIO
from typing import Any

import ipywidgets as W  # noqa: N812 - as its own documentation does
import pandas as pd
import pytest

from autopod_nb.errors import UsageError
from autopod_nb.log import hide
from autopod_nb.session.frame import HistoryFrame
from autopod_nb.widgets import history_files
from autopod_nb.widgets.history_filter import Filter, Finder
from autopod_nb.widgets.history_html import page_html
from autopod_nb.widgets.history_panel import PAGE_ROWS, HistoryPanel
from tests.widgets.histories import history
from tests.widgets.test_card import Page

EVIL = '<script>alert(1)</script><img src=x onerror="alert(2)">'


class Hand:
    """A panel, and what a person does and sees."""

    def __init__(self, frame: HistoryFrame) -> None:
        self.panel = HistoryPanel(frame)
        self.widgets = [*_everything(self.panel.root)]

    def press(self, begin: str) -> None:
        next(each for each in self.widgets if isinstance(each, W.Button) and begin in each.description).click()

    def can_press(self, begin: str) -> bool:
        return not next(
            each.disabled for each in self.widgets if isinstance(each, W.Button) and begin in each.description
        )

    def choose(self, description: str, value: object) -> None:
        """As a front end does: by a state message."""
        control = next(each for each in self.widgets if getattr(each, "description", "") == description)
        if isinstance(control, W.Dropdown):
            control.set_state({"index": [option for _, option in control.options].index(value)})
        else:
            control.value = value

    @property
    def html(self) -> str:
        return " ".join(each.value for each in self.widgets if isinstance(each, W.HTML))

    @property
    def words(self) -> str:
        return Page(self.html).text

    @property
    def jobs(self) -> list[str]:
        return re.findall(r"<b>([^<]+)</b>", self.html)


def _everything(widget: Any) -> Iterator[Any]:
    yield widget
    for child in getattr(widget, "children", ()):
        yield from _everything(child)


@pytest.fixture
def hand() -> Iterator[Hand]:
    """Sixty attempts."""
    made = Hand(history(60))
    yield made
    made.panel.close()


def test_only_a_page_is_drawn_and_the_buttons_leaf_to_both_ends(hand: Hand) -> None:
    assert hand.jobs == [f"job-{number}" for number in range(25)]
    assert "Rows 1–25 of 60, newest first" in hand.words
    assert (hand.can_press("Newer"), hand.can_press("Older")) == (False, True)
    hand.press("Older")
    hand.press("Older")
    assert hand.jobs == [f"job-{number}" for number in range(50, 60)]
    assert (hand.can_press("Newer"), hand.can_press("Older")) == (True, False)
    hand.press("Older")  # a press that was on its way
    assert "Rows 51–60 of 60" in hand.words
    hand.press("Newer")
    assert hand.jobs[0] == "job-25"


@pytest.mark.parametrize(
    ("description", "value", "found"),
    [
        ("Search", "job-7", ["job-7"]),
        ("Search", "CLIP-13.mp4", ["job-13"]),
        ("Search", "memory txt2img job-5", ["job-5", "job-53", "job-59"]),
        ("Search", "no such words", []),
        ("State", "queued", ["job-0"]),
        ("State", "failed", [f"job-{number}" for number in range(2, 60, 3)]),
        ("Template", "txt2img", [f"job-{number}" for number in range(1, 51, 2)]),
        ("GPU", "A40", [f"job-{number}" for number in range(2, 52, 2)]),
        ("Money", "real", [f"job-{number}" for number in range(1, 60, 4)]),
        ("Since", date(2026, 1, 1), [f"job-{number}" for number in range(13)]),
    ],
)
def test_each_filter_leaves_what_fits(hand: Hand, description: str, value: object, found: list[str]) -> None:
    hand.press("Older")
    hand.choose(description, value)
    assert hand.jobs == found
    hand.press("Clear filters")
    assert "Rows 1–25 of 60" in hand.words


def test_filters_work_together_and_totals_are_of_what_is_left_each_kind_by_itself(hand: Hand) -> None:
    assert "60 attempts: " in hand.words
    hand.choose("State", "done")
    hand.choose("Template", "txt2img")
    hand.choose("Search", "clip-1")
    assert hand.jobs == ["job-1", "job-13", "job-15", "job-19"]
    assert "4 of 60 attempts: 4 done. The jobs cost $0.2000 and $0.2000 simulated, without boot" in hand.words
    hand.choose("Money", "simulated")
    assert "2 of 60 attempts: 2 done. The jobs cost $0.2000 simulated, without boot" in hand.words
    hand.choose("Search", "nothing has this")
    assert "0 of 60 attempts." in hand.words
    assert "No attempt fits these filters." in hand.words
    assert not hand.can_press("Older")


def test_many_filters_that_change_at_once_are_one_search(hand: Hand) -> None:
    hand.choose("State", "done")
    hand.choose("Search", "clip")
    drawn: list[object] = []
    table = next(each for each in hand.widgets if isinstance(each, W.HTML) and "<table" in each.value)
    table.observe(drawn.append, names="value")
    hand.press("Clear filters")
    assert len(drawn) == 1


def test_an_order_of_ones_own_is_kept_and_not_called_newest_first() -> None:
    hand = Hand(history(3).sort_values("job_id", ascending=True).iloc[[2, 0, 1]])
    assert hand.jobs == ["job-2", "job-0", "job-1"]
    assert "in the order of the frame" in hand.words
    assert not hand.can_press("Back")
    hand.panel.close()


def test_an_index_that_says_things_twice_does_no_harm() -> None:
    twice = pd.concat([history(20), history(20)])
    hand = Hand(twice)
    hand.choose("Search", "job-7")
    assert hand.jobs == ["job-7", "job-7"]
    hand.press("Make CSV")
    assert len(saved(hand.html, "csv")) == 2
    hand.panel.close()


def test_what_happens_to_the_frame_later_is_not_seen() -> None:
    frame = history(3)
    hand = Hand(frame)
    frame["job_id"] = "changed"
    frame.loc[:, "state"] = "failed"
    hand.choose("State", "done")
    assert hand.jobs == ["job-1"]
    hand.choose("State", "queued")
    assert hand.jobs == ["job-0"]
    hand.panel.close()


def test_looking_at_a_frame_changes_nothing_in_it() -> None:
    frame, same = history(30), history(30)
    hand = Hand(frame)
    hand.choose("Search", "job")
    hand.press("Make CSV")
    pd.testing.assert_frame_equal(frame, same)
    assert frame.attrs == {}
    hand.panel.close()


# --- strangers' words ------------------------------------------------------------------------------------------------


def evil() -> HistoryFrame:
    frame = history(3)
    frame["job_id"] = f"job {EVIL}"
    frame["template"] = f"/templates/{EVIL}.json"
    frame["error"] = ["", "", EVIL + " long" * 40]
    frame["outputs"] = pd.Series([[], [f"outputs/{EVIL}.mp4"], []], dtype="object")
    frame["gpu"] = f"GPU {EVIL}"
    return frame


def test_no_word_of_a_stranger_is_a_tag_in_any_form() -> None:
    hand = Hand(evil())
    hand.press("Make CSV")
    bundle = hand.panel.root._repr_mimebundle_()
    for html in (hand.html, bundle["text/html"], evil()._repr_html_()):
        tags = Page(html).tags
        assert not {"script", "img"} & {tag for tag, _ in tags}
        assert not [name for _, attrs in tags for name in attrs if name.startswith("on")]
        assert "alert(1)" in Page(html).text
    assert all("<" not in label for each in hand.widgets if isinstance(each, W.HTML) for label in [each.description])
    hand.panel.close()


def test_a_long_error_is_folded_and_one_that_never_ends_is_cut() -> None:
    frame = history(3, errors=["first words " + "x" * 5_000 + " last words"])
    page = Page(page_html(frame))
    assert "summary" in [tag for tag, _ in page.tags]
    assert "the rest is in the frame" in page.text
    assert "last words" not in page.text
    assert len(page_html(frame)) < 10_000


def test_a_secret_is_in_no_widget_no_form_and_no_file() -> None:
    hide(secret := "planted-secret-of-the-panel")
    frame = history(3, errors=[f"refused: {secret}"])
    hand = Hand(frame)
    hand.choose("State", "failed")
    hand.press("Make CSV")
    table = saved(hand.html, "csv")
    states = json.dumps([each.get_state(drop_defaults=False) for each in hand.widgets], default=str)
    bundle = json.dumps(hand.panel.root._repr_mimebundle_())
    hand.panel.close()
    assert list(table["error"]) == ["refused: [redacted]"]
    assert secret not in states + bundle
    assert secret in frame.loc[2, "error"]  # type: ignore[operator]  # the frame itself is the person's own


# --- files -----------------------------------------------------------------------------------------------------------


def saved(html: str, format_: str) -> pd.DataFrame:
    """What the link saves."""
    found = re.search(rf'<a download="autopod-history\.{format_}" href="data:[^,"]+;base64,([^"]*)"', html)
    assert found, html[-300:]
    data = base64.b64decode(found[1])
    return pd.read_csv(StringIO(data.decode())) if format_ == "csv" else pd.read_parquet(BytesIO(data))


def test_a_csv_file_holds_the_filtered_rows_and_reads_back_the_same(hand: Hand) -> None:
    hand.choose("State", "done")
    hand.press("Make CSV")
    table = saved(hand.html, "csv")
    frame = history(60)
    want = frame[frame["state"] == "done"].reset_index(drop=True)
    assert list(table.columns) == list(frame.columns)
    assert "(39 rows, " in hand.words
    assert [json.loads(each) for each in table["outputs"]] == list(want["outputs"])
    assert list(pd.to_datetime(table["submitted"])) == list(want["submitted"])
    for name in ("job_id", "kind", "cost_usd", "seconds"):
        assert list(table[name]) == list(want[name])


def test_a_file_of_other_rows_is_taken_away(hand: Hand) -> None:
    hand.press("Make CSV")
    assert "<a download" in hand.html
    hand.choose("State", "done")
    assert "<a download" not in hand.html


def test_no_rows_make_a_file_with_headings_only(hand: Hand) -> None:
    hand.choose("Search", "nothing has this")
    hand.press("Make CSV")
    assert len(saved(hand.html, "csv")) == 0
    assert "(0 rows, " in hand.words


def test_a_cell_that_looks_like_a_formula_stays_exact_and_is_said() -> None:
    hand = Hand(history(3, errors=['=HYPERLINK("http://x","y")']))
    hand.press("Make CSV")
    assert saved(hand.html, "csv")["error"][2] == '=HYPERLINK("http://x","y")'
    assert "1 cell begins with = + - or @: let a spreadsheet import them as text" in hand.words
    hand.panel.close()
    plain = Hand(history(3))
    plain.press("Make CSV")
    assert "spreadsheet" not in plain.words
    plain.panel.close()


def test_without_pyarrow_the_button_says_what_to_install(hand: Hand, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    hand.press("Make Parquet")
    assert "Parquet needs pyarrow: `%pip install pyarrow`, or take CSV." in hand.words
    assert "<a download" not in hand.html


def test_with_pyarrow_a_parquet_file_keeps_types_and_lists(hand: Hand) -> None:
    if importlib.util.find_spec("pyarrow") is None:
        hand.press("Make Parquet")
        assert "%pip install pyarrow" in hand.words
        return
    hand.choose("Money", "real")
    hand.press("Make Parquet")
    table = saved(hand.html, "parquet")
    assert list(table["job_id"]) == [f"job-{number}" for number in range(1, 60, 4)]
    assert list(table["outputs"][0]) == ["outputs/clip-1.mp4"]
    assert str(table["submitted"].dtype).endswith("UTC]")


def test_a_file_too_large_for_a_link_is_refused_with_the_way_out() -> None:
    """The rows are written in pieces, so that too large is found before all are written."""
    hand = Hand(history(2_000, errors=["x" * 9_000]))
    hand.press("Make CSV")
    assert "more than 5.0 MB, too large for a link: `%autopod export --format csv`" in hand.words
    assert max(len(each.value) for each in hand.widgets if isinstance(each, W.HTML)) < 100_000
    hand.panel.close()


def test_the_longest_link_is_within_its_bound() -> None:
    longest = history_files._LARGEST_FILE
    address = f"data:{history_files._TYPES['parquet']};base64,".encode() + base64.b64encode(b"x" * longest)
    assert len(address) <= history_files.LARGEST_LINK
    history_files._refuse_large(longest, "csv")
    with pytest.raises(UsageError, match="too large for a link"):
        history_files._refuse_large(longest + 1, "csv")


def test_a_fault_in_a_callback_is_seen_in_the_panel(hand: Hand) -> None:
    hand.panel._frame = hand.panel._frame.drop(columns="outputs")
    hand.press("Make CSV")
    assert "That failed: KeyError. The log says more." in hand.words


# --- what it is in a page --------------------------------------------------------------------------------------------


def test_every_control_has_a_label_and_every_button_a_tooltip(hand: Hand) -> None:
    controls = [each for each in hand.widgets if isinstance(each, (W.Text, W.Dropdown, W.DatePicker))]
    assert [each.description for each in controls] == ["Search", "State", "Template", "GPU", "Money", "Since"]
    assert all(each.tooltip for each in hand.widgets if isinstance(each, W.Button))
    assert [each.label for each in controls if isinstance(each, W.Dropdown)] == ["any"] * 4
    hand.choose("State", "done")
    hand.press("Clear filters")
    assert [each.label for each in controls if isinstance(each, W.Dropdown)] == ["any"] * 4
    tags = Page(hand.html).tags
    assert dict(tags)["table"]["aria-label"] == "Attempts"
    assert {attrs["scope"] for tag, attrs in tags if tag == "th"} == {"col"}
    assert sum(attrs.get("role") == "status" for _, attrs in tags) == 2


def test_it_has_text_and_html_for_where_no_widget_can_be_shown(hand: Hand) -> None:
    bundle = hand.panel.root._repr_mimebundle_()
    assert bundle["text/plain"] == repr(history(60))
    assert "… and 10 more." in Page(bundle["text/html"]).text
    assert "`%autopod history` in a running kernel" in Page(bundle["text/html"]).text
    assert "application/vnd.jupyter.widget-view+json" in bundle
    assert len(json.dumps(bundle)) < 50_000


def test_presses_from_several_threads_end_in_one_state(hand: Hand) -> None:
    """ipykernel may run the messages of a front end in a thread beside the main one."""

    def leaf() -> None:
        for _ in range(50):
            hand.press("Older")
            hand.press("Newer")

    threads = [threading.Thread(target=leaf) for _ in range(4)]
    for thread in threads:
        thread.start()
    for _ in range(20):
        hand.choose("Search", "clip")
        hand.press("Clear filters")
    for thread in threads:
        thread.join()
    hand.choose("Search", "job-7")
    assert hand.jobs == ["job-7"]


def test_closing_twice_takes_every_widget_away(hand: Hand) -> None:
    hand.panel.close()
    hand.panel.close()
    assert all(each.comm is None for each in hand.widgets)


# --- many rows -------------------------------------------------------------------------------------------------------


def test_a_hundred_thousand_rows_are_drawn_as_one_page() -> None:
    hand = Hand(history(100_000))
    assert len(hand.jobs) == PAGE_ROWS
    hand.choose("Search", "job-99999")
    assert hand.jobs == ["job-99999"]
    assert "1 of 100,000 attempts: 1 done." in hand.words
    hand.panel.close()


def test_a_list_of_choices_is_never_too_long_to_choose_from_and_the_rest_is_found_by_typing() -> None:
    frame = history(300)
    frame["template"] = [f"template-{number}" for number in range(300)]
    finder = Finder(frame)
    assert len(finder.choices("template")) == 100
    assert len(finder.find(Filter(text="template-299"))) == 1
    assert finder.choices("state") == ["done", "failed", "queued"]
