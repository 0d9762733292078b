"""``kill -9`` of whoever owns a rented pod, of the reaper, of both: the bill ends all the same, and so does the job."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from autopod_nb.models.job import JobState
from autopod_nb.models.pod import PodState
from tests.fakes.service import RunpodService
from tests.session.rented_orphans import Orphans, orphans
from tests.session.rented_story import MOST_S, picture_of
from tests.session.rented_world import quick_service

pytestmark = [pytest.mark.faults, pytest.mark.slow]
_CREATE = "POST /v2/pods"
_DELETE = "DELETE /v2/pods/{id}"


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunpodService]:
    with quick_service(tmp_path_factory.mktemp("kills") / "it") as service:
        yield service


@pytest.fixture
def home(service: RunpodService, tmp_path: Path) -> Iterator[Orphans]:
    with orphans(service, tmp_path) as found:
        yield found


def prepare(home: Orphans, moment: str) -> None:
    """What makes a moment last."""
    if moment == "requested":
        home.service.arm("hang_after", _CREATE, seconds=35)
    elif moment == "booting":
        home.service.set(pull_delay_s=20.0)
    elif moment == "terminating":
        home.service.arm("error_500", _DELETE, times=6)


def check_end(home: Orphans, since_s: float) -> None:
    """One pod was billed, not for long, and the books know of its end."""
    home.follow(lambda: not home.is_billed())
    home.follow(lambda: home.row().state is PodState.TERMINATED)
    (bill,) = home.bills()
    assert bill["name"] == home.row().name
    assert bill["billing_ended_at"] - since_s <= MOST_S


def check_result(home: Orphans) -> None:
    (job,) = home.ledger.read_jobs()
    assert (job.state, job.attempt) == (JobState.DONE, 1)
    assert [path.name for path in home.out.iterdir()] == ["wanted.png"]
    assert len(picture_of(home.out / "wanted.png")) == 64 * 64 * 3


@pytest.mark.parametrize(
    "moment",
    ["rendering", "requested", "booting", "ready", "terminating"],
)
def test_the_reaper_ends_what_its_owner_left(home: Orphans, moment: str) -> None:
    """Whatever the owner was at; a job that runs is finished and fetched first."""
    prepare(home, moment)
    home.own(moment)
    home.follow(lambda: bool(home.bills()))  # the order has arrived by then
    home.kill_owner()
    killed_s = home.now_s
    if moment == "rendering":
        home.follow(lambda: home.ledger.read_jobs()[-1].state is JobState.DONE)
        killed_s = home.now_s
    check_end(home, killed_s)
    if moment == "rendering":
        check_result(home)


def test_the_reaper_fetches_what_its_owner_could_not(home: Orphans) -> None:
    """The folder for the results was a file; once it is away, the result comes and the pod goes."""
    home.own("collecting")
    home.kill_owner()
    home.follow(home.is_owned_by_reaper)
    home.out.unlink()
    home.follow(lambda: home.ledger.read_jobs()[-1].state is JobState.DONE)
    check_end(home, home.now_s)
    check_result(home)


def test_an_owner_whose_reaper_was_killed_starts_another(home: Orphans) -> None:
    """And that one ends the pod when the owner is killed, too."""
    home.own("ready")
    home.kill_reaper()
    killed_s = home.now_s
    home.follow(lambda: home.reaper.running)
    assert home.now_s - killed_s <= MOST_S
    home.kill_owner()
    check_end(home, home.now_s)
