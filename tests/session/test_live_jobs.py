"""Whole jobs on real pods: from a photograph to the file that is verified here, paid for to the millionth."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from decimal import Decimal
from itertools import pairwise
from pathlib import Path

import av
import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image, ImageDraw, ImageOps

from autopod_nb.config import LEDGER_NAME
from autopod_nb.models.job import JobState, Verified
from autopod_nb.models.money import MoneyKind, cost_usd
from autopod_nb.models.pod import PodState
from autopod_nb.session.history import costs_frame, history_frame
from autopod_nb.storage.ledger import Ledger
from tests.leftovers import left_of
from tests.session.live import Live

PORTRAIT = Path(__file__).parents[2] / "jobs" / "inputs" / "portrait.jpg"
Pixels = npt.NDArray[np.float64]
_WITHIN_S = 60.0
_TWO_CLOCKS_S = 0.5  # lengths are monotonic, moments are not; a busy machine may pause between the two readings


@pytest.fixture(scope="module")
def shared(open_shared: Callable[..., Live]) -> Live:
    """A session with a pod."""
    live = open_shared()
    live.rent()
    return live


@pytest.fixture(scope="module")
def drawing(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Another photograph than the portrait, upright and not square."""
    picture = Image.linear_gradient("L").resize((480, 720)).convert("RGB")
    draw = ImageDraw.Draw(picture)
    draw.ellipse((60, 120, 300, 420), fill=(200, 60, 30))
    draw.rectangle((240, 400, 460, 700), fill=(20, 90, 160))
    path = tmp_path_factory.mktemp("photographs") / "a drawing ü.png"
    picture.save(path)
    return path


def frames_of(video: Path) -> list[Pixels]:
    """Every frame, as RGB."""
    with av.open(str(video)) as container:
        return [frame.to_ndarray(format="rgb24").astype(np.float64) for frame in container.decode(video=0)]


def psnr(one: Pixels, other: Pixels) -> float:
    """Peak signal-to-noise ratio, dB."""
    return float(10 * np.log10(255**2 / np.mean((one - other) ** 2)))


def test_a_photograph_becomes_a_video_and_the_books_agree(live: Live) -> None:
    """Submit → done; the file has the checksum in the ledger; each charge and their sum are exact; nothing is left."""
    pod_id = live.rent()
    job = live.submit("img2vid-basic", "clip", inputs={"image": PORTRAIT}).wait(_WITHIN_S)
    video = live.out / "clip.mp4"
    assert job.outputs == {"video": [video]}
    live.session.stop()
    over = live.until_pod(pod_id, PodState.TERMINATED)
    live.close()

    ledger = Ledger(live.home / LEDGER_NAME)
    (row,) = ledger.read_results()
    assert row.result.sha256 == hashlib.sha256(video.read_bytes()).hexdigest()
    assert (row.result.verified, row.result.bytes) == (Verified.SHA256, video.stat().st_size)
    charges = [entry.charge for entry in ledger.read_charges(pod_id=pod_id)]
    price = Decimal("0.40")
    assert all(charge.amount_usd == cost_usd(price, charge.seconds) for charge in charges)
    assert all(charge.kind is MoneyKind.SIMULATED for charge in charges)
    for charge, following in pairwise(charges):  # without a gap
        assert abs((following.start - charge.start).total_seconds() - float(charge.seconds)) < _TWO_CLOCKS_S
    states = {event.state: event.at for event in ledger.read_events() if event.pod_id == pod_id}
    age_s = (states["terminated"] - states["requested"]).total_seconds()
    assert abs(float(sum(charge.seconds for charge in charges)) - age_s) < _TWO_CLOCKS_S
    assert sum(charge.amount_usd for charge in charges) == ledger.total_usd(MoneyKind.SIMULATED) == over.cost_usd

    history, costs = history_frame(ledger), costs_frame(ledger)
    assert history[["job_id", "state", "gpu", "kind"]].to_numpy().tolist() == [["clip", "done", "A40", "simulated"]]
    assert history["outputs"].iloc[0] == [str(video)]
    assert Decimal(str(history["cost_usd"].iloc[0])) == job.cost_usd
    assert costs["total_usd"].iloc[0] == pytest.approx(float(over.cost_usd), abs=5e-7)
    assert not list((live.home / "pods").glob("autopod-*"))
    assert not left_of(live.home, 5.0)


def test_two_photographs_give_two_videos_that_begin_with_them(shared: Live, drawing: Path) -> None:
    photographs = {"portrait": PORTRAIT, "drawing": drawing}
    for name, photograph in photographs.items():
        shared.submit("img2vid-basic", name, inputs={"image": photograph})
    videos = {}
    for name, photograph in photographs.items():
        shared.session.job(name).wait(_WITHIN_S)
        frames = videos[name] = frames_of(shared.out / f"{name}.mp4")
        size = (frames[0].shape[1], frames[0].shape[0])
        with Image.open(photograph) as opened:
            scaled = ImageOps.fit(opened.convert("RGB"), size, Image.Resampling.LANCZOS)
        assert psnr(frames[0], np.asarray(scaled, dtype=np.float64)) > 25
        assert len(frames) == 24
        assert all(np.abs(frame - following).mean() > 0.5 for frame, following in pairwise(frames))
    assert psnr(videos["portrait"][0], videos["drawing"][0]) < 20


def test_twenty_jobs_in_one_go_end_in_order_with_twenty_pictures(shared: Live) -> None:
    names = [f"noise-{number:02}" for number in range(20)]
    jobs = shared.session.submit_all([shared.spec("noise", name, seed=number) for number, name in enumerate(names)])
    for job in jobs:
        job.wait(_WITHIN_S)
    pictures = {(shared.out / f"{name}.png").read_bytes() for name in names}
    assert len(pictures) == 20
    events = Ledger(shared.home / LEDGER_NAME).read_events()
    assert [event.job_id for event in events if event.state == "running" and event.job_id in names] == names


def test_two_jobs_with_one_output_path_overwrite_nothing(shared: Live) -> None:
    wanted = shared.out / "same.png"
    first = shared.submit("noise", "same-1", output=wanted, seed=101).wait(_WITHIN_S)
    before = wanted.read_bytes()
    second = shared.submit("noise", "same-2", output=wanted, seed=102).wait(_WITHIN_S)
    assert first.outputs == {"picture": [wanted]}
    assert second.outputs == {"picture": [wanted.with_name("same-2.png")]}
    assert wanted.read_bytes() == before != wanted.with_name("same-2.png").read_bytes()


def test_a_job_without_a_pod_rents_one_that_ends_after_it(live: Live) -> None:
    job = live.submit("noise", "alone").wait(_WITHIN_S)
    pod_id = job.view.pod_id
    assert pod_id is not None
    assert live.until_pod(pod_id, PodState.TERMINATED).ends_after_batch
    assert (live.out / "alone.png").stat().st_size > 0
    assert job.state is JobState.DONE
