"""The inbox of the session thread: what tells of progress waits for company, everything else does not."""

from __future__ import annotations

import threading
import time
from dataclasses import replace

from autopod_nb.clock import SystemClock
from autopod_nb.comfyui.monitor_events import MonitorEvent
from autopod_nb.models.event import NodeProgress, NodeStarted, PromptOver, PromptProgress, StepProgress
from autopod_nb.session import commands
from autopod_nb.session.core import Core
from autopod_nb.session.events import Message, Moment, PodMessage, Tick
from autopod_nb.session.inbox import Inbox
from autopod_nb.session.reducer import is_news_of_progress, reduce, take_in
from tests.session.story import START, TEMPLATE, Story

_LONG_S = 20.0


def _news(story: Story, step: float) -> list[Message]:
    prompt_id = story.job().prompt_id
    nodes = tuple(
        NodeProgress(node_id=node, display_node_id=node, value=step, maximum=100, finished=False)
        for node in TEMPLATE.graph
    )
    heard: list[MonitorEvent] = [
        NodeStarted(prompt_id=prompt_id, node_id="1", display_node_id="1"),
        PromptProgress(prompt_id=prompt_id, nodes=nodes),
        StepProgress(prompt_id=prompt_id, node_id="1", value=step, maximum=100),
    ]
    return [PodMessage(pod_id="p1", event=event) for event in heard]


def _running() -> Story:
    story = Story()
    story.boot()
    story.submit()
    story.run()
    return story


def test_what_hurries_comes_at_once_and_brings_along_what_waited() -> None:
    inbox, first, second = Inbox(), Tick(number=1), Tick(number=2)
    inbox.put(first, can_wait=True)
    thread = threading.Timer(0.05, lambda: inbox.put(second, can_wait=False))
    thread.start()
    begin_s = time.monotonic()
    assert inbox.take(wait_s=_LONG_S, hold_s=_LONG_S) == [first, second]
    assert time.monotonic() - begin_s < _LONG_S / 2
    assert len(inbox) == 0
    thread.join()


def test_what_can_wait_is_not_held_for_longer_than_it_is_to_be() -> None:
    inbox = Inbox()
    inbox.put(Tick(number=1), can_wait=True)
    assert inbox.take(wait_s=_LONG_S, hold_s=0.01) == [Tick(number=1)]
    inbox.put(Tick(number=2), can_wait=True)
    assert inbox.take(wait_s=_LONG_S, hold_s=0.0) == [Tick(number=2)]
    assert inbox.take(wait_s=0.01, hold_s=_LONG_S) == []


def test_only_news_of_progress_can_wait() -> None:
    story = _running()
    assert all(is_news_of_progress(message) for message in _news(story, 1))
    over = PodMessage(pod_id="p1", event=PromptOver(prompt_id=story.job().prompt_id))
    assert not any(is_news_of_progress(message) for message in (over, Tick(number=1), commands.Cancel(job_id="j1")))


def test_news_taken_together_mean_what_they_mean_one_by_one() -> None:
    story = _running()
    messages = [message for step in (10.0, 20.0, 30.0) for message in _news(story, step)]
    now = Moment(START, 5.0)
    one_by_one = story.state
    for message in messages:
        one_by_one, wanted = reduce(one_by_one, message, now)
        assert not wanted
    together = take_in(story.state, messages, now)
    assert together.jobs["j1"] == one_by_one.jobs["j1"]
    assert together.jobs["j1"].track.step == 30
    assert replace(together, jobs={}) == replace(one_by_one, jobs={})


def test_the_newest_of_many_is_shown_and_one_that_makes_no_sense_takes_no_other_with_it() -> None:
    story = _running()
    core = Core(story.state, clock=SystemClock(), act=lambda _: None)
    core.start()
    try:
        for step in range(1, 200):
            for message in _news(story, step):
                core.post(message)
        core.post(PodMessage(pod_id="p1", event=StepProgress(prompt_id=[], node_id="1", value=1, maximum=1)))  # type: ignore[arg-type] # of purpose
        for message in _news(story, 201):
            core.post(message)
        seen = core.wait_for(lambda snapshot: snapshot.jobs["j1"].progress.step == 201, _LONG_S)
        assert seen.jobs["j1"].progress.step == 201
        assert any("mistake" in notice.text for notice in seen.notices)
    finally:
        core.stop(_LONG_S)
