"""The desk behind the buttons, on a real session with real pods: once, at once, and in words."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from autopod_nb.clock import Deadline
from autopod_nb.models.action import Action, ActionName
from autopod_nb.models.job import JobState
from autopod_nb.models.pod import PodState
from autopod_nb.session.actions import ActionDesk, News
from tests.session.live import REAL, WITHIN_S, Live

PORTRAIT = Path(__file__).parents[2] / "jobs" / "inputs" / "portrait.jpg"
_ids = iter(range(1_000_000))


def press(name: ActionName, target: str, *, yes: bool = False, action_id: str = "") -> Action:
    return Action(action_id=action_id or f"press-{next(_ids)}", name=name, target=target, yes=yes)


@pytest.fixture(scope="module")
def live(open_shared: Callable[..., Live]) -> Live:
    """A session whose pod these tests share; each that kills one rents another."""
    return open_shared()


@pytest.fixture
def desk(live: Live) -> Iterator[ActionDesk]:
    desk = ActionDesk(live.session)
    yield desk
    desk.close()


def _until_news(desk: ActionDesk, count: int) -> News:
    deadline = Deadline(REAL, WITHIN_S)
    while len(desk.news) < count:
        assert not deadline.passed
    return desk.news[-1]


def _keeps(kept: list[str]) -> Callable[[str], str]:
    """A handler that keeps what it is called with."""

    def handle(target: str) -> str:
        kept.append(target)
        return "kept"

    return handle


def _fails(_: News) -> None:
    raise RuntimeError("a panel that fails")


def test_a_kill_that_comes_on_two_roads_acts_once(live: Live, desk: ActionDesk) -> None:
    """Had the later one acted, it would say that the pod is gone already."""
    pod_id = live.rent()
    kill = press(ActionName.KILL, pod_id)
    first = desk.act(kill)
    assert (first.taken, first.text) == (
        True,
        f"Pod {pod_id} is being terminated; it bills until the provider confirms.",
    )
    live.until_pod(pod_id, PodState.TERMINATED)
    assert desk.act(kill) == first
    other = desk.act(press(ActionName.KILL, pod_id))
    assert (other.taken, other.wants_yes, other.text) == (False, False, f"Pod {pod_id} is gone already.")


def test_of_roads_at_the_same_moment_one_acts_and_all_get_its_answer(live: Live, desk: ActionDesk) -> None:
    pod_id, roads = live.rent(), 8
    begun, go, calls = threading.Barrier(roads), threading.Event(), []

    def open_gui(target: str) -> str:
        calls.append(target)
        assert go.wait(WITHIN_S)  # so that the others come while this one acts
        return "opened"

    def road(action: Action) -> str:
        begun.wait(WITHIN_S)
        return desk.act(action).text

    desk.on(ActionName.GUI, open_gui)
    with ThreadPoolExecutor(roads) as pool:
        action = press(ActionName.GUI, pod_id)
        answers = [pool.submit(road, action) for _ in range(roads)]
        go.set()
        assert {answer.result(WITHIN_S) for answer in answers} == {"opened"}
    assert calls == [pod_id]
    desk.act(press(ActionName.KILL, pod_id))


def test_a_pod_with_unsaved_results_wants_a_second_press_and_dies_of_it(live: Live, desk: ActionDesk) -> None:
    pod_id = live.rent()
    job = live.submit("slow", "unsaved", pod_id=pod_id)
    live.until_rendering(job)
    first = press(ActionName.KILL, pod_id)
    answer = desk.act(first)
    assert (answer.taken, answer.wants_yes) == (False, True)
    assert "would be lost: press Kill again" in answer.text
    assert desk.act(press(ActionName.KILL, pod_id, yes=True, action_id=first.action_id)) == answer, "an old press"
    assert live.pod(pod_id).state is PodState.BUSY
    again = desk.act(press(ActionName.KILL, pod_id, yes=True))
    assert (again.taken, again.wants_yes) == (True, False)
    live.until_pod(pod_id, PodState.TERMINATED)


def test_jobs_are_cancelled_queued_again_and_kept_waiting_for(live: Live, desk: ActionDesk) -> None:
    """Running a job again by two roads makes one job, whose name comes as news."""
    pod_id = live.rent()
    heard: list[News] = []
    panels: list[tuple[str, str]] = []
    off = desk.listen(heard.append)
    desk.on_again(lambda old, new: panels.append((old, new)))
    job = live.submit("slow", "again", pod_id=pod_id)
    live.until_rendering(job)
    assert desk.act(press(ActionName.KEEP_WAITING, "again")).text == "Job again has the same time again."
    twice = press(ActionName.AGAIN, "again")
    assert {desk.act(twice).text for _ in range(2)} == {"Job again is being queued again."}
    news = _until_news(desk, 1)
    desk.close()
    assert (news.text, news.bad, news.action_id) == ("Job again is queued again as again-2.", False, twice.action_id)
    assert (heard, panels) == ([news], [("again", "again-2")])
    assert [name for name in live.session.snapshot.jobs if name.startswith("again")] == ["again", "again-2"]
    for name in ("again-2", "again"):
        assert desk.act(press(ActionName.CANCEL, name)).taken
    live.until_job(job, JobState.CANCELLED)
    off()
    off()
    assert (
        desk.act(press(ActionName.AGAIN, "again")).text == "The session is closed: `%autopod connect` begins another."
    )
    desk.act(press(ActionName.KILL, pod_id))


def test_what_goes_wrong_after_the_answer_reaches_the_person(live: Live, desk: ActionDesk) -> None:
    """The input of the job is gone when it shall run again; a listener that fails is no matter to the others."""
    pod_id, image = live.rent(), live.folder / "moved.jpg"
    image.write_bytes(PORTRAIT.read_bytes())
    size = {"width": 64, "height": 64}
    live.until_over(live.submit("img2vid-basic", "moved", pod_id=pod_id, inputs={"image": image}, **size))
    image.unlink()
    heard: list[News] = []
    desk.listen(_fails)
    desk.listen(heard.append)
    assert desk.act(press(ActionName.AGAIN, "moved")).taken
    news = _until_news(desk, 1)
    desk.close()
    assert news.bad
    assert news.text.startswith("Run again of job moved: ")
    assert "moved.jpg" in news.text
    assert heard == [news]
    desk.act(press(ActionName.KILL, pod_id))


@pytest.mark.parametrize(
    "name", [ActionName.STOP, ActionName.KILL, ActionName.KEEP_ALIVE, ActionName.GUI, ActionName.LOGS]
)
def test_a_pod_that_this_session_does_not_have_is_refused_without_a_look_elsewhere(
    live: Live, desk: ActionDesk, name: ActionName
) -> None:
    answer = desk.act(press(name, "elsewhere"))
    assert (answer.taken, answer.wants_yes) == (False, False)
    assert answer.text.startswith("No pod 'elsewhere' in this session.")


@pytest.mark.parametrize("name", [ActionName.CANCEL, ActionName.KEEP_WAITING, ActionName.AGAIN])
def test_a_job_that_there_is_not_is_refused_in_words(live: Live, desk: ActionDesk, name: ActionName) -> None:
    answer = desk.act(press(name, "nothing"))
    assert (answer.taken, answer.text[:16]) == (False, "No job 'nothing'")


def test_what_only_a_face_can_do_is_done_by_the_newest_handler(live: Live, desk: ActionDesk) -> None:
    pod_id = live.rent()

    def logs() -> tuple[bool, str]:
        answer = desk.act(press(ActionName.LOGS, pod_id))
        return answer.taken, answer.text

    nobody = (False, "Not available here: `%autopod panel` in the notebook shows the log.")
    assert logs() == nobody
    old_off = desk.on(ActionName.LOGS, lambda target: f"old {target}")
    new_off = desk.on(ActionName.LOGS, lambda target: f"token=abcdef {target}")
    old_off()
    assert logs() == (True, f"token=[redacted] {pod_id}")
    new_off()
    new_off()
    assert logs() == nobody
    desk.on(ActionName.LOGS, lambda target: {"other": "x"}[target])
    assert logs() == (False, "That failed: KeyError. The log says more.")
    assert desk.act(press(ActionName.KEEP_ALIVE, pod_id)).taken
    assert desk.act(press(ActionName.STOP, pod_id)).taken
    live.until_pod(pod_id, PodState.TERMINATED)


def test_the_desk_remembers_a_thousand_presses_and_no_more(live: Live, desk: ActionDesk) -> None:
    calls: list[str] = []
    pod_id = live.rent()
    desk.on(ActionName.GUI, _keeps(calls))
    presses = [press(ActionName.GUI, pod_id) for _ in range(1001)]
    for each in (*presses, *presses[1:]):
        desk.act(each)
    assert len(calls) == 1001
    assert len(desk._presses) == 1000
    desk.act(presses[0])  # so long ago that it is a new one
    assert len(calls) == 1002
    desk.act(press(ActionName.KILL, pod_id))
