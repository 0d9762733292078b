"""Warnings as cards with their buttons, as a part of the dashboard. A card goes when its cause has gone."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import ipywidgets as W  # noqa: N812 - as its own documentation does

from autopod_nb.models.action import ActionName
from autopod_nb.models.snapshot import Alert, AlertKind, PodView, Snapshot
from autopod_nb.widgets import card, plain
from autopod_nb.widgets.controls import Answer, button
from autopod_nb.widgets.line import mark
from autopod_nb.widgets.pod_buttons import PodButtons
from autopod_nb.widgets.traits import put, take_away

if TYPE_CHECKING:
    from autopod_nb.session.manager import Session

_SHOWN = 6
_KILLS = (AlertKind.STUCK, AlertKind.BOOT_LONG, AlertKind.UNARMED)


class _AlertCard:
    """One warning."""

    def __init__(self, alert: Alert, cards: AlertCards) -> None:
        self._text = plain.text(plain.layout(flex="1 1 320px"))
        buttons = []
        if alert.kind is AlertKind.STUCK and (job_id := alert.job_id) is not None:
            more = "on" if alert.grants_minutes is None else f"{alert.grants_minutes:g} more"
            help_ = "Give the job this many minutes before the next warning"
            wait = button(f"Wait {more}", help_, lambda: cards.keep_waiting(job_id))
            mark(wait, ActionName.KEEP_WAITING, job_id)
            buttons.append(wait)
        self._pod_buttons: PodButtons | None = None
        if alert.kind in _KILLS and (pod_id := alert.pod_id) is not None:
            self._pod_buttons = PodButtons(cards.session, cards.answer, name=pod_id)
            buttons.append(self._pod_buttons.kill)
            if alert.kind is AlertKind.STUCK:
                buttons.append(button("Open ComfyUI", "See for yourself", lambda: cards.open_gui(pod_id)))
        border = f"4px solid {card.LEVEL_COLOURS[alert.level]}"
        look = {"border_left": border, "padding": "0 0 0 8px", "margin": "2px 0"}
        layout = W.Layout(flex_flow="row wrap", align_items="flex-start", **look)
        self.root = W.HBox([self._text, W.HBox(buttons, layout=W.Layout(flex_flow="row wrap"))], layout=layout)

    def draw(self, alert: Alert, pod: PodView | None, *, heal: bool) -> None:
        """Follow the warning."""
        put(self._text, card.alert_html(alert), heal=heal)
        if self._pod_buttons is not None:
            self._pod_buttons.draw(pod, heal=heal)

    def close(self) -> None:
        """Take it away."""
        take_away(self.root, *(self._pod_buttons.all if self._pod_buttons is not None else ()))


class AlertCards:
    """The warnings of a session, the most urgent first.

    Args:
        session: takes the commands.
        answer: shows what came of a press.
        open_gui: takes the id of a pod; any thread.

    Attributes:
        root: the widget to be put into a panel.
    """

    def __init__(self, session: Session, answer: Answer, open_gui: Callable[[str], None]) -> None:
        self.session, self.answer, self.open_gui = session, answer, open_gui
        self._cards: dict[str, _AlertCard] = {}
        self._shown: list[str] = []
        self._rest = plain.text()
        self.root = plain.box(self._rest)

    def draw(self, snapshot: Snapshot, *, heal: bool = False) -> None:
        """Follow the warnings. The pump's thread only."""
        alerts: Sequence[Alert] = snapshot.alerts[:_SHOWN]
        for alert in alerts:
            if alert.key not in self._cards:
                self._cards[alert.key] = _AlertCard(alert, self)
            self._cards[alert.key].draw(alert, snapshot.pods.get(alert.pod_id or ""), heal=heal)
        shown = [alert.key for alert in alerts]
        if shown != self._shown:
            self._shown = shown
            self.root.children = [*(self._cards[key].root for key in shown), self._rest]
        left = len(snapshot.alerts) - len(alerts)
        more = f"and {left} more warning{'s' if left > 1 else ''}: `%autopod status`"
        put(self._rest, card.text_line(more, card.WARN) if left else "", heal=heal)
        for key in [key for key in self._cards if key not in shown]:
            self._cards.pop(key).close()

    def keep_waiting(self, job_id: str) -> None:
        """Give a stuck job the same time again. Any thread."""

        def wait() -> str:
            self.session.keep_waiting(job_id)
            return f"Job {job_id} has the same time again."

        self.answer.to(wait)
