"""The live log of a real pod."""

from __future__ import annotations

import re
from collections.abc import Iterator

import ipywidgets as W  # noqa: N812 - as its own documentation does
import pytest

from autopod_nb.widgets.log_feed import LogFeed
from autopod_nb.widgets.log_panel import LogPanel
from autopod_nb.widgets.pump import Pump
from autopod_nb.widgets.traits import everything
from tests.session.live import WITHIN_S, Live


@pytest.fixture(scope="module")
def live(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Live]:
    live = Live(tmp_path_factory.mktemp("log"))
    yield live
    live.close()


@pytest.fixture(scope="module")
def pod_id(live: Live) -> str:
    return live.rent()


@pytest.fixture
def pump() -> Iterator[Pump]:
    pump = Pump()
    yield pump
    assert pump.close(WITHIN_S)


def feed_of(live: Live, pod_id: str) -> LogFeed:
    return LogFeed(live.session, pod_id, lambda lines: live.session.logs(pod_id, lines=lines))


def shown(root: W.VBox) -> str:
    return " ".join(widget.value for widget in everything(root) if isinstance(widget, W.HTML))


def test_new_lines_appear_and_the_button_ends_it(live: Live, pod_id: str, pump: Pump) -> None:
    feed = feed_of(live, pod_id)
    panel = LogPanel(feed, "ComfyUI's log", pump=pump)
    root = panel.show()
    live.until_over(live.submit("noise", "one"))
    live.until(lambda _: "got prompt" in shown(root))
    assert "● live" in shown(root)
    assert "got prompt" in root._repr_mimebundle_()["text/plain"]
    (button,) = [widget for widget in everything(root) if isinstance(widget, W.Button)]
    button.click()
    assert feed.join(WITHIN_S)
    live.until(lambda _: "● stopped" in shown(root))
    assert button.layout.display == "none"
    assert shown(root).count("got prompt") == 1


def test_only_lines_that_a_pattern_finds_are_shown(live: Live, pod_id: str, pump: Pump) -> None:
    feed = feed_of(live, pod_id)
    root = LogPanel(feed, "log", pattern=re.compile("executed"), pump=pump).show()
    live.until(lambda _: "Prompt executed" in shown(root))
    assert "got prompt" not in shown(root)
    feed.stop()
    assert feed.join(WITHIN_S)


def test_it_ends_with_the_pod(live: Live, pod_id: str, pump: Pump) -> None:
    feed = feed_of(live, pod_id)
    root = LogPanel(feed, "log", pump=pump).show()
    live.until(lambda _: "got prompt" in shown(root))
    live.session.kill(pod_id)
    live.until(lambda _: "● the pod has ended" in shown(root))
    assert feed.join(WITHIN_S)
    assert "got prompt" in shown(root), "what was seen stays"
