"""Fifty pods whose events come thick and fast: no last value is lost, the page stays smooth, and buttons are taken."""

from __future__ import annotations

import statistics
import time
from collections import Counter
from dataclasses import dataclass

import pytest
from playwright.sync_api import expect

from tests.browser.cells import LOAD
from tests.browser.opened import Opener
from tests.browser.page import Notebook
from tests.browser.replay import final_percent
from tests.browser.scripts import PANEL

_PODS, _RATE, _CLOSED_S, _OPEN_S = 50, 20, 20, 60
_BEGIN = f"from tests.browser.replay import Replay\nreplay = Replay({_PODS}, rate={_RATE})"
_SERVERS_WINDOW_S = 3  # over which a notebook server counts messages before it drops them above 1000 a second
_RATE_EXCEEDED = "message rate exceeded"
_MEASURE = f"""() => {{
  const seen = window.autopodSeconds = {{frames: [], messages: [], from: performance.now(), over: false}};
  const kernel = {PANEL}.sessionContext.session.kernel;
  const count = () => seen.messages.push(performance.now() - seen.from);
  kernel.iopubMessage.connect(count);
  let last = null;
  const frame = now => {{
    if (seen.over) return kernel.iopubMessage.disconnect(count);
    if (last !== null) seen.frames.push(now - last);
    last = now;
    requestAnimationFrame(frame);
  }};
  requestAnimationFrame(frame);
}}"""
_LASTED = "seconds => performance.now() - window.autopodSeconds.from > seconds * 1000"
_TAKE = "() => { const seen = window.autopodSeconds; seen.over = true; return [seen.frames, seen.messages] }"


@dataclass(frozen=True, slots=True)
class Seconds:
    """What a page went through in some seconds.

    Attributes:
        frames: milliseconds from one to the next.
        messages: of the kernel, each as milliseconds since the begin.
        seconds: how long it was looked at, whole.
    """

    frames: list[float]
    messages: list[float]
    seconds: int

    @property
    def p95_ms(self) -> float:
        """What 95 of 100 frames take at most."""
        return statistics.quantiles(self.frames, n=100)[94]

    @property
    def rates(self) -> list[float]:
        """Messages a second in each window as long as the server's."""
        each = Counter(int(at_ms // 1000) for at_ms in self.messages)
        starts = range(self.seconds - _SERVERS_WINDOW_S + 1)
        return [sum(each[start + more] for more in range(_SERVERS_WINDOW_S)) / _SERVERS_WINDOW_S for start in starts]

    @property
    def mean_rate(self) -> float:
        """Messages a second over all of it."""
        return sum(1 for at_ms in self.messages if at_ms < self.seconds * 1000) / self.seconds

    def __str__(self) -> str:
        long = sum(1 for each in self.frames if each > 50) / len(self.frames)
        frames = f"p50 {statistics.median(self.frames):.1f}, p95 {self.p95_ms:.1f}, max {max(self.frames):.0f} ms"
        rates = f"{self.mean_rate:.0f} messages a second, at most {max(self.rates):.0f}"
        return f"{len(self.frames)} frames in {self.seconds} s: {frames}, {long:.1%} over 50 ms; {rates}"


def take(page: Notebook, seconds: int) -> Seconds:
    """What was measured since the measurement began, once it took so long."""
    page.page.wait_for_function(_LASTED, arg=seconds, polling=500, timeout=(seconds + 60) * 1000)
    frames, messages = page.page.evaluate(_TAKE)
    return Seconds(frames, messages, seconds)


@pytest.mark.slow
@pytest.mark.timeout(400)
def test_with_fifty_pods_for_a_minute_the_page_stays_smooth_and_no_last_value_is_lost(nb: Opener) -> None:
    page = nb(LOAD, _BEGIN, "replay.session")
    assert page.run(0)
    assert page.run(1)
    page.page.evaluate(_MEASURE)
    closed = take(page, _CLOSED_S)
    assert page.run(2)
    room = page.output(2)
    expect(room.get_by_role("button", name="Keep alive")).to_have_count(_PODS)
    told = page.ask("replay.told")
    page.page.evaluate(_MEASURE)
    page.page.wait_for_function(_LASTED, arg=_OPEN_S // 2, polling=500)
    began_s = time.monotonic()
    room.get_by_role("button", name="Keep alive").nth(30).click()
    expect(room).to_contain_text("Pod p30 is busy: its idle countdown begins when it has nothing to do.")
    click_s = time.monotonic() - began_s
    opened = take(page, _OPEN_S)
    told = page.ask("replay.told") - told
    page.shot("fifty-pods")
    assert page.ask("replay.end()") == {f"p{number:02}": final_percent(number) for number in range(_PODS)}
    for number in range(_PODS):
        expect(room).to_contain_text(f"j{number:02}: {final_percent(number)} %")
    click = f"a click and its answer {click_s:.2f} s"
    print(f"\nclosed: {closed}\nopen: {opened}\n{told / _OPEN_S:.0f} events a second; {click}")  # noqa: T201 - figures
    assert told > _PODS * _OPEN_S, "at least one a second of each, even here"
    assert 20 < opened.mean_rate < 205
    assert max(opened.rates) < 500, "half of what the server lets through"
    assert _RATE_EXCEEDED not in nb.lab.log.read_text().lower()
    assert opened.p95_ms <= max(3 * closed.p95_ms, 100)
    assert page.errors == []
