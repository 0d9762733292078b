"""When owner and reaper are both killed, the watchdog on the pod is all that is left, and it ends the bill.

The session arms it with a poll of 15 real seconds; here the same script is started again on the pod with the same
orders, but with a quick poll and with the clock that everything else goes by. Nothing else about it is different.
"""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path

import pytest

from autopod_nb.models.job import JobState
from autopod_nb.models.pod import PodState
from tests.fakes.service import RunpodService
from tests.leftovers import command_of
from tests.session.rented_orphans import Orphans, orphans
from tests.session.rented_story import MOST_S, picture_of
from tests.session.rented_world import Tenant, quick_service

pytestmark = [pytest.mark.faults, pytest.mark.slow]
_QUIET_S = 360.0  # idle_minutes of the owner, which is 1, and five more
_POLL_S = "0.1"
_GUESSED_PORT = "8188"  # of the watchdog that is armed before ComfyUI answers; it is armed anew then
_STEP_S = 4.0  # the script takes 75 s between two polls for a clock that was set


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunpodService]:
    with quick_service(tmp_path_factory.mktemp("watchdog") / "it") as service:
        yield service


@pytest.fixture
def home(service: RunpodService, tmp_path: Path) -> Iterator[Orphans]:
    with orphans(service, tmp_path) as found:
        yield found


def order_of(service: RunpodService, provider_id: str) -> list[str]:
    """What the watchdog that runs on a pod was told, from its command line; empty if none runs."""
    mark = f"{service.pod(provider_id)['folder']}/ComfyUI/.autopod-watchdog"
    for entry in Path("/proc").glob("[0-9]*"):
        words = command_line(entry)
        if "run" in words and mark in words:
            return words[words.index("run") + 1 :]
    return []


def may(service: RunpodService, provider_id: str, mode: str) -> bool:
    """Whether it knows where ComfyUI listens, and how it is to end the pod."""
    order = order_of(service, provider_id)
    return order[2:3] not in ([], [_GUESSED_PORT]) and (Path(order[0]) / "limits").read_text().split()[1] == mode


def command_line(entry: Path) -> list[str]:
    try:
        return (entry / "cmdline").read_bytes().decode(errors="replace").rstrip("\0").split("\0")
    except OSError:
        return []


class QuickWatchdog:
    """The watchdog of the only pod, started again with the service's clock."""

    def __init__(self, home: Orphans) -> None:
        self.home = home
        self.clock_file = home.folder / "epoch"
        order = order_of(home.service, str(home.row().provider_id))
        self.folder = Path(order[0])
        order[-2:] = (self.folder / "limits").read_text().split()  # what it was told since
        self.tick()
        environ = {"PATH": home.environ["PATH"], "WATCHDOG_POLL_S": _POLL_S, "WATCHDOG_CLOCK": str(self.clock_file)}
        script = str(self.folder / "watchdog.sh")
        self._end = ["sh", script, "end", str(self.folder)]
        said = subprocess.run(["sh", script, "start", *order], env=environ, check=True, capture_output=True, text=True)
        assert "running yes" in said.stdout

    def tick(self) -> bool:
        """Let it see what time it is."""
        part = self.clock_file.with_suffix(".part")
        part.write_text(str(int(self.home.now_s)))
        part.replace(self.clock_file)
        return True

    def close(self) -> None:
        if self.folder.exists():
            subprocess.run(self._end, check=False, capture_output=True)


@pytest.fixture
def quicken(home: Orphans) -> Iterator[list[QuickWatchdog]]:
    """Those that a test makes are ended."""
    made: list[QuickWatchdog] = []
    yield made
    for each in made:
        each.close()


@pytest.mark.parametrize("first", ["owner", "reaper"])
def test_with_owner_and_reaper_killed_the_watchdog_ends_the_bill(
    home: Orphans, quicken: list[QuickWatchdog], monkeypatch: pytest.MonkeyPatch, first: str
) -> None:
    """With the pod's own key, after its time of quiet; the next session closes the books."""
    home.own("ready")
    provider_id = str(home.row().provider_id)
    home.follow(lambda: may(home.service, provider_id, "terminate"), step_s=0.0)
    kills = [home.kill_owner, home.kill_reaper]
    for kill in kills if first == "owner" else reversed(kills):
        kill()
    assert not home.reaper_processes(), [command_of(pid) for pid in home.reaper_processes()]
    watchdog = QuickWatchdog(home)
    quicken.append(watchdog)
    quiet_since_s = home.now_s
    home.follow(lambda: watchdog.tick() and not home.is_billed(), step_s=_STEP_S)
    (bill,) = home.bills()
    assert _QUIET_S - 1 <= bill["billing_ended_at"] - quiet_since_s <= _QUIET_S + MOST_S
    ends = [each for each in home.service.requests() if each["method"] != "GET" and each["who"] == provider_id]
    assert [each["body"] for each in ends] == [{"action": "terminate"}]
    assert home.row().state is not PodState.TERMINATED, "nobody was there to write it"
    tenant = Tenant(home.folder, home.service, monkeypatch)
    try:
        tenant.session.adopt()
        tenant.follow(lambda: home.row().state is PodState.TERMINATED)
    finally:
        tenant.end()


def test_a_job_that_ends_while_nobody_is_there_is_not_rendered_twice(
    home: Orphans, quicken: list[QuickWatchdog], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A lid is closed: the job renders on, the watchdog stops the pod, and the next contact fetches what it made."""
    home.own("rendering")
    provider_id = str(home.row().provider_id)
    home.follow(lambda: may(home.service, provider_id, "stop"), step_s=0.0)
    home.kill_owner()
    home.kill_reaper()
    watchdog = QuickWatchdog(home)
    quicken.append(watchdog)
    home.follow(lambda: watchdog.tick() and home.service.pod(provider_id)["status"] == "EXITED", step_s=_STEP_S)
    (job,) = home.ledger.read_jobs()
    assert job.state is JobState.RUNNING, "as far as anybody wrote"
    tenant = Tenant(home.folder, home.service, monkeypatch)
    try:
        tenant.session.adopt()
        tenant.follow(lambda: tenant.pod(job.pod_id or "").state is PodState.STOPPED)
        assert "the results of wanted are still on it" in tenant.notices
        tenant.session.adopt()
        tenant.follow(lambda: tenant.session.snapshot.jobs["wanted"].over)
        done = tenant.session.snapshot.jobs["wanted"]
        assert (done.state, done.attempt) == (JobState.DONE, 1), done.error
        tenant.follow(lambda: home.row().state is PodState.TERMINATED)
    finally:
        tenant.end()
    assert len(picture_of(home.out / "wanted.png")) == 64 * 64 * 3
    (bill,) = home.bills()
    assert [Decimal(each["usd_per_hour"]["gpu"]) == 0 for each in bill["segments"]] == [False, True, False]
