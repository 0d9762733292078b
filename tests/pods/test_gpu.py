"""How busy GPUs are, in the words of ``nvidia-smi``."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from autopod_nb.models.snapshot import GpuUse
from autopod_nb.pods.gpu import parse_gpu_use
from tests.session.live import Live


@pytest.mark.parametrize(
    ("text", "use"),
    [
        ("97, 20992, 46068\n", GpuUse(percent=97, memory_used_gb=20.5, memory_total_gb=44.99)),
        ("90, 1024, 2048\n70, 1024, 2048\n", GpuUse(percent=80, memory_used_gb=2, memory_total_gb=4)),
        ("[N/A], 1024, 2048\n", GpuUse(percent=None, memory_used_gb=1, memory_total_gb=2)),
        ("[N/A], [N/A], [N/A]\n", None),
        ("", None),
        ("NVIDIA-SMI has failed because it couldn't communicate with the NVIDIA driver.\n", None),
    ],
)
def test_what_nvidia_smi_says_is_read(text: str, use: GpuUse | None) -> None:
    assert parse_gpu_use(text) == use


@given(st.text())
def test_any_text_is_read_or_left(text: str) -> None:
    parse_gpu_use(text)


@pytest.fixture(scope="module")
def live(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Live]:
    live = Live(tmp_path_factory.mktemp("gpu"))
    yield live
    live.close()


def test_a_pod_with_a_gpu_shows_its_use(live: Live) -> None:
    """The command runs on the pod, in its bare environment."""
    pod_id = live.rent()
    program = live.pod_folder(pod_id) / ".local" / "bin" / "nvidia-smi"
    program.parent.mkdir(parents=True)
    program.write_text("#!/bin/sh\necho 42, 1024, 4096\n")
    program.chmod(0o755)
    live.jump(5)
    use = live.until(lambda snapshot: snapshot.pods[pod_id].gpu_use is not None, 20).pods[pod_id].gpu_use
    assert use == GpuUse(percent=42, memory_used_gb=1, memory_total_gb=4)


def test_a_pod_without_one_shows_none_and_no_error(live: Live, tmp_path: Path) -> None:
    other = Live(tmp_path)
    try:
        pod_id = other.rent()
        seen = other.session.snapshot.number
        other.until(lambda snapshot: snapshot.number > seen + 8, 20)
        assert other.pod(pod_id).gpu_use is None
        assert not other.notices
    finally:
        other.close()
