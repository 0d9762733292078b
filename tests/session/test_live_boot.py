"""Pods that never come up: they are ended, with the reason in words, and not after a quarter of an hour."""

from __future__ import annotations

from pathlib import Path

import pytest

from autopod_nb.clock import Clock
from autopod_nb.models.pod import PodState
from autopod_nb.providers.local import LocalProvider
from autopod_nb.session.commands import PodRequest
from tests.session.live import Live

pytestmark = pytest.mark.faults


def _with_comfyui(code: str, folder: Path) -> Live:
    """A session whose pods run this ``main.py``."""
    install = folder / "ComfyUI"
    install.mkdir()
    (install / "main.py").write_text(code)

    def provider(pods: Path, clock: Clock) -> LocalProvider:
        return LocalProvider(pods, clock=clock, comfyui_dir=install)

    return Live(folder / "live", provider=provider)


@pytest.mark.parametrize(
    "code",
    [
        "raise RuntimeError('no such model folder')",
        "import time; time.sleep(5); raise RuntimeError('no such model folder')",
    ],
    ids=["at once", "in mid-boot"],
)
def test_a_comfyui_that_ends_while_it_boots_ends_the_pod_with_its_reason(code: str, tmp_path: Path) -> None:
    live = _with_comfyui(code, tmp_path)
    try:
        pod_id = live.session.connect(live.session.plan(PodRequest()))
        gone = live.until_pod(pod_id, PodState.TERMINATED, within_s=60)
        assert "no such model folder" in gone.error
        assert "did not come up" in live.notices
        assert not list((live.home / "pods").glob("autopod-*"))
    finally:
        live.close()


def test_a_comfyui_that_never_answers_is_given_up_in_time(tmp_path: Path) -> None:
    """Its port stays closed: after the minutes for a boot the pod is ended, and those minutes are in the books."""
    live = _with_comfyui("import time; time.sleep(600)", tmp_path)
    try:
        pod_id = live.session.connect(live.session.plan(PodRequest()))
        live.until_pod(pod_id, PodState.CONNECTING)
        live.until(lambda snapshot: snapshot.pods[pod_id].phase == "waiting for ComfyUI")
        live.jump(15 * 60)
        gone = live.until_pod(pod_id, PodState.TERMINATED)
        assert "did not become ready in time" in gone.error
        assert float(gone.cost_usd) >= 0.4 * 15 / 60
    finally:
        live.close()
