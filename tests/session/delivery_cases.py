"""What may become of a line, a server, and a pod that others know, while a job of about ten seconds is rendered."""

from __future__ import annotations

import os
import threading
from dataclasses import replace

from autopod_nb.models.job import JobState
from tests.fakes.relay import Line, clock_s
from tests.session.delivery import DELAY_S, JOB_S, STEP_S, STEPS, WITHIN_S, Chance, Delivery, Figures, noise, pause
from tests.session.delivery_others import Engines, Other
from tests.session.delivery_wave import Case

WAYS = ("reset", "goodbye", "hold")
LIFE = ("after it is delivered", "while the job runs", "as soon as there is a new line")


def _break_off(at: Delivery, how: str) -> None:
    """Both directions end, one way or another, and nobody comes in."""
    if how == "hold":
        at.relay.hold()
    else:
        at.relay.refuse()
        at.relay.cut(reset=how == "reset")


def _mend(at: Delivery) -> float:
    at.relay.admit()
    return at.relay.release()


def cut(at: Delivery, chance: Chance) -> Figures:
    """A: no byte passes for two seconds, from any moment of the job on: its upload, its sampler, its download."""
    job = at.submit_shot(chance.name, steps=STEPS, seed=chance.randrange(1 << 30))
    pause(chance.uniform(0.0, JOB_S + 1.0))
    _break_off(at, chance.turn(WAYS))
    pause(2.0)
    view, figures = at.until_done(job, back_s=_mend(at))
    assert at.since() == (1, 1), view
    return figures


def end_unseen(at: Delivery, chance: Chance) -> Figures:
    """B: nothing passes for five seconds, in which the job ends."""
    job = at.submit_shot(chance.name, steps=STEPS, seed=chance.randrange(1 << 30))
    at.until_runs(job)
    before = job.view
    pause(chance.uniform(JOB_S - 4.5, JOB_S - 0.5))
    began_s = clock_s()
    _break_off(at, chance.turn(WAYS))
    assert before.prompt_id is not None
    assert at.until_ended(before.prompt_id) > began_s
    pause(began_s + 5.0 - clock_s())
    view, figures = at.until_done(job, back_s=_mend(at))
    assert (view.attempt, view.prompt_id) == (1, before.prompt_id)
    assert at.since() == (1, 1)
    return figures


def silence(at: Delivery, chance: Chance) -> Figures:
    """C: what is open falls silent and stays open; what is opened anew works. The old line comes to life again.

    In each third repeat it falls silent before the workflow is posted, which goes over a connection that was used just
    before: then the post hangs in the old line, and is made anew over the new one.
    """
    posts, life = chance.number % 3 == 0, LIFE[(chance.number + chance.number // 3) % 3]
    seed = chance.randrange(1 << 30)
    if posts:
        at.until_done(at.submit("plain", f"{chance.name}-before", steps=1, seed=seed + 1), back_s=0.0)
        at.since()
        stalled_s = at.relay.stall()
        job = at.submit("plain", chance.name, steps=STEPS, seed=seed)
    else:
        job = at.submit_shot(chance.name, steps=STEPS, seed=seed)
        pause(chance.uniform(0.0, JOB_S))
        stalled_s = at.relay.stall()
    lost_s = at.until_lost()
    to_life = threading.Timer(chance.uniform(0.0, 4.0) if life == LIFE[1] else 0.0, at.relay.resume)
    if life != LIFE[0]:
        at.until_line()
        to_life.start()  # beside the job, which may be delivered before
    view, figures = at.until_done(job, back_s=lost_s)
    to_life.cancel()
    at.relay.resume()
    pause(1.0)
    at.until_idle()
    assert at.since() == (1, 1), f"{view}: the old line came to life {life}"
    return replace(figures, found_s=lost_s - stalled_s)


def another_port(at: Delivery, chance: Chance) -> Figures:
    """D: SSH dies, and a while later it is back at another port, which the provider tells then."""
    job = at.submit_shot(chance.name, steps=STEPS, seed=chance.randrange(1 << 30))
    pause(chance.uniform(0.0, JOB_S))
    at.relay.refuse()
    at.relay.cut()
    pause(chance.uniform(0.0, 4.0))
    at.relay.move()
    view, figures = at.until_done(job, back_s=at.relay.admit())
    assert at.since() == (1, 1), view
    return figures


def comfyui_anew(engines: Engines) -> Case:
    """E: ComfyUI is killed and knows nothing of its two jobs: each is posted once more, and the ledger says so."""

    def case(at: Delivery, chance: Chance) -> Figures:
        job = at.submit_shot(chance.name, steps=STEPS, seed=chance.randrange(1 << 30))
        behind = at.submit_shot(f"{chance.name}-next", steps=2, seed=chance.randrange(1 << 30))
        at.until_runs(job)  # not as the session knows it: a second process may have made its socket deaf just before
        at.live.until_job(behind, JobState.SUBMITTED)
        pause(chance.uniform(0.0, JOB_S - 1.0))
        start = engines.kill(at)
        pause(chance.uniform(0.0, 2.0))
        view, figures = at.until_done(job, back_s=start())
        at.until_done(behind, back_s=0.0)
        assert (view.attempt, at.since()) == (2, (4, 2))
        for each in (job, behind):
            assert at.attempts(each) == [(1, JobState.FAILED), (2, JobState.DONE)]
        return figures

    return case


def cut_download(at: Delivery, chance: Chance) -> Figures:
    """G: a narrow line is cut when 60 % of the result are here, and opens wide after a while; then the rest is sent."""
    height = 700  # 4 MB
    size = height * 2048 * 3
    at.relay.shape(down=Line(delay_s=DELAY_S, bytes_per_s=4e6))
    job = at.submit("large", chance.name, steps=STEPS, height=height, seed=chance.randrange(1 << 30))
    at.live.until_job(job, JobState.COLLECTING)
    before = at.relay.bytes_down
    at.relay.cut_after(int(size * 0.6)).result(WITHIN_S)
    at.relay.refuse()
    pause(chance.uniform(0.0, 3.0))
    at.relay.shape(down=Line(delay_s=DELAY_S))
    view, figures = at.until_done(job, back_s=at.relay.admit())
    (path,) = job.outputs["picture"]
    sent_again = at.relay.bytes_down - before - path.stat().st_size
    assert sent_again < 0.1 * size, f"{sent_again:,} bytes were sent again"
    assert (view.attempt, at.since()) == (1, (1, 1))
    return figures


def second_process(rival: Other) -> Case:
    """H: another makes our socket deaf, renders there itself, ends what is its own, and would like to have the pod."""

    def case(at: Delivery, chance: Chance) -> Figures:
        job = at.submit_shot(chance.name, steps=STEPS, seed=chance.randrange(1 << 30))
        at.until_runs(job)
        pause(chance.uniform(0.0, JOB_S - 3.0))
        told = rival.ask(f"disturb {at.comfyui_port}")
        assert told["adopted"] == []
        assert any(at.pod_id in note and str(os.getpid()) in note for note in told["notes"])
        view, figures = at.until_done(job, back_s=0.0)
        at.until_idle()
        assert (view.attempt, at.since()) == (1, (3, 2))
        return figures

    return case


def cut_upload(at: Delivery, chance: Chance) -> Figures:
    """The way up is no other than the way down: what arrived before the cut is not sent again."""
    seed = chance.randrange(1 << 30)
    photograph = noise(at.live.folder / "photographs" / f"{chance.name}.png", height=500, seed=seed)
    size = photograph.stat().st_size
    at.relay.shape(up=Line(delay_s=DELAY_S, bytes_per_s=4e6))
    before = at.relay.bytes_up
    broken = at.relay.cut_after(int(size * 0.6), down=False)
    job = at.submit_shot(chance.name, steps=2, seed=seed, photograph=photograph)
    broken.result(WITHIN_S)
    at.relay.refuse()
    pause(chance.uniform(0.0, 2.0))
    _, figures = at.until_done(job, back_s=at.relay.admit())
    sent_again = at.relay.bytes_up - before - size
    assert sent_again < 0.2 * size, f"{sent_again:,} bytes of {size:,} were sent again"
    assert at.since() == (1, 1)
    return figures


def run_out(at: Delivery, chance: Chance) -> Figures:
    """The line is down for longer than anybody waits for the answer to a post; nothing of it ran, so nothing counts."""
    seed = chance.randrange(1 << 30)
    at.until_done(at.submit("plain", f"{chance.name}-before", steps=1, seed=seed + 1), back_s=0.0)
    at.since()
    _break_off(at, "hold")
    job = at.submit("plain", chance.name, steps=int(2 / STEP_S), seed=seed)
    pause(25.0)
    _, figures = at.until_done(job, back_s=_mend(at))
    assert at.since() == (1, 1)
    data = at.live.session.snapshot.jobs[job.job_id]
    assert not data.error
    return figures
