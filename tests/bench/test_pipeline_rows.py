"""The rows about the pipeline can be measured, and believe nobody's word."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.bench import noise, pipeline, pipeline_sweep
from tests.bench.pipeline_line import Work

_LITTLE = Work(megabytes=0.2, seconds=0.4)


@pytest.mark.slow
def test_the_gaps_of_all_three_ways_are_measured(monkeypatch: pytest.MonkeyPatch) -> None:
    """Three pods behind lines with delay, all files compared; the naive order leaves the GPU waiting for longer."""
    gaps = pipeline.measure(_LITTLE, 4, 3)
    assert (len(gaps.ours), len(gaps.server), len(gaps.naive)) == (3, 3, 2)
    assert min(gaps.naive) > 4 * pipeline._DELAY_MS  # an answer, a question and its answer lie in between
    monkeypatch.setattr(pipeline, "_gaps", lambda: gaps)
    rows = [pipeline.gap(), pipeline.naive()]
    assert [(row.name, row.unit, row.sense) for row in rows] == [
        ("gap_over_server_ms", "ms", "≤"),
        ("naive_gap_ms", "ms", "≥"),
    ]


def test_the_worse_of_median_and_p90_is_the_figure(monkeypatch: pytest.MonkeyPatch) -> None:
    late = pipeline.Gaps(ours=[0.0] * 8 + [100.0] * 2, server=[1.0] * 10, naive=[300.0] * 3)
    monkeypatch.setattr(pipeline, "_gaps", lambda: late)
    assert pipeline.gap().value == pytest.approx(99)
    assert not pipeline.gap().ok
    assert pipeline.naive().ok


def test_a_result_that_is_something_else_is_no_measure(tmp_path: Path) -> None:
    (picture,) = _LITTLE.pictures(tmp_path, 1, seed=1)
    negative = tmp_path / "negative.png"
    Image.fromarray(255 - np.asarray(Image.open(picture))).save(negative, compress_level=0)
    _LITTLE.check([picture], [negative])
    assert picture.stat().st_size == pytest.approx(_LITTLE.megabytes * 1e6, rel=0.02)
    with pytest.raises(RuntimeError, match="not what was to be made"):
        _LITTLE.check([picture], [picture])
    with pytest.raises(RuntimeError, match="0 files came instead of 1"):
        _LITTLE.check([picture], [])


def test_a_sweep_is_measured_beside_plain_requests() -> None:
    row = pipeline_sweep.measure(6, 1)
    assert (row.name, row.unit, row.aim) == ("sweep200_vs_direct", "×", 1.3)
    assert row.value > 0


def test_the_same_file_twice_is_no_sweep(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(b"same")
    (tmp_path / "b.png").write_bytes(b"same")
    with pytest.raises(RuntimeError, match="1 different files"):
        noise.count_pictures(tmp_path, 2)
