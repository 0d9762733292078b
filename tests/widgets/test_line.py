"""The line of a panel: presses reach the desk once, the token travels by custom message only."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import ipywidgets as W  # noqa: N812 - as its own documentation does
import pytest

from autopod_nb.config import Secret
from autopod_nb.models.action import Action, ActionAnswer, ActionName
from autopod_nb.session.actions import News
from autopod_nb.session.control import ControlAddress
from autopod_nb.widgets.line import Line, action_of, make_line, mark, static_text


class Kernel:
    """What a line needs of a control: a desk that notes, and an address."""

    def __init__(self) -> None:
        self.acted: list[Action] = []
        self.news: list[News] = []

    @property
    def desk(self) -> Kernel:
        return self

    def act(self, action: Action) -> ActionAnswer:
        self.acted.append(action)
        return ActionAnswer(text="taken", wants_yes=action.name is ActionName.KILL and not action.yes)

    def address(self) -> ControlAddress:
        return ControlAddress(port=4711, instance="abc", token=Secret("the token"))


class Widget:
    """The kernel's half of a widget, as far as messages go."""

    def __init__(self) -> None:
        self.sent: list[dict[str, Any]] = []
        self.hear: Callable[..., None] = lambda *_: None

    def on_msg(self, callback: Callable[..., None]) -> None:
        self.hear = callback

    def send(self, content: dict[str, Any]) -> None:
        self.sent.append(content)


def line() -> tuple[Line, Widget, Kernel, list[str]]:
    widget, kernel, woken = Widget(), Kernel(), []
    return Line(widget, kernel, lambda: woken.append("woken")), widget, kernel, woken  # type: ignore[arg-type]


def test_a_press_goes_to_the_desk_wakes_the_panel_and_is_answered_by_its_id() -> None:
    made, widget, kernel, woken = line()
    widget.hear(None, {"type": "act", "id": "x1", "action": "kill", "target": "3fa2c1", "yes": False}, [])
    assert kernel.acted == [Action(action_id="x1", name=ActionName.KILL, target="3fa2c1")]
    assert (woken, widget.sent) == (["woken"], [])  # nothing is written in the thread of a press
    made.draw(rests=False)
    assert widget.sent[0] == {"type": "answer", "id": "x1", "taken": True, "text": "taken", "wants_yes": True}


def test_beats_come_once_a_second_tell_that_it_rests_and_begin_anew_with_a_new_page() -> None:
    made, widget, _, woken = line()
    for _ in range(3):
        made.draw(rests=False)
    made.draw(rests=True)
    made.draw(rests=True)
    assert [each["rests"] for each in widget.sent] == [False, True]
    widget.hear(None, {"type": "hello"}, [])
    assert woken == ["woken"]
    made.draw(rests=True)
    assert len(widget.sent) == 3
    assert widget.sent[-1] == {"type": "beat", "rests": True, "port": 4711, "instance": "abc", "token": "the token"}


def test_what_came_of_a_press_later_is_told_once_and_only_where_it_was_pressed() -> None:
    made, widget, kernel, _ = line()
    widget.hear(None, {"type": "act", "id": "mine", "action": "again", "target": "one"}, [])
    kernel.news = [News(number=1, action_id="another", text="no"), News(number=2, action_id="mine", text="one-2 waits")]
    for _ in range(2):
        made.draw(rests=False)
    assert [each["text"] for each in widget.sent if each["type"] == "news"] == ["one-2 waits"]


@pytest.mark.parametrize(
    "content",
    [
        {},
        {"id": "", "action": "kill", "target": "a"},
        {"id": "x" * 65, "action": "kill", "target": "a"},
        {"id": 7, "action": "kill", "target": "a"},
        {"id": "x", "action": "explode", "target": "a"},
        {"id": "x", "action": "kill", "target": None},
        {"id": "x", "action": ["kill"], "target": "a"},
    ],
)
def test_what_makes_no_sense_is_no_action(content: dict[str, Any]) -> None:
    assert action_of(content) is None
    _, widget, kernel, _ = line()
    widget.hear(None, {"type": "act", **content}, [])
    assert kernel.acted == []


def test_only_a_true_yes_is_a_yes() -> None:
    said = {"id": "x", "action": "kill", "target": "a"}
    assert [action_of({**said, "yes": yes}).yes for yes in (True, 1, "true", None)] == [True, False, False, False]  # type: ignore[union-attr]


def test_a_button_says_in_its_classes_what_it_does_on_what_in_any_letters() -> None:
    button = W.Button()
    mark(button, ActionName.CANCEL, "mein Wald/1", unsaved=True)
    act, do, on, unsaved = button._dom_classes
    assert (act, do, unsaved) == ("autopod-act", "autopod-do-cancel", "autopod-unsaved")
    assert bytes.fromhex(on.removeprefix("autopod-on-")).decode() == "mein Wald/1"
    assert on.isascii()
    assert " " not in on


def test_the_real_widget_has_no_token_in_its_state() -> None:
    made = make_line(Kernel(), lambda: None)  # type: ignore[arg-type]
    assert made is not None
    made.draw(rests=False)
    assert "the token" not in str(made.widget.get_state())
    assert made.widget._esm == static_text("line.js")
    made.widget.close()


def test_every_action_that_the_script_sends_is_one_that_the_desk_knows() -> None:
    script = static_text("line.js")
    assert "autopod-do-" in script
    assert "autopod-on-" in script
    assert "innerHTML" not in script
