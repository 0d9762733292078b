"""The verb ``gpus`` and the wishes that ``connect`` shares with it, in IPython."""

from __future__ import annotations

import json
from pathlib import Path

import pandas as pd
import pytest
from IPython.core.interactiveshell import InteractiveShell

from autopod_nb.session.build import current_session
from tests.magics.cells import refusal, session_now, worth, write_templates


@pytest.fixture(autouse=True)
def in_a_folder_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def gpus(shell: InteractiveShell, options: str) -> list[str]:
    frame = worth(shell, f"%autopod gpus {options}")
    assert isinstance(frame, pd.DataFrame)
    return list(frame["gpu"])


class TestWithoutASession:
    """These run first: the catalogue opens no session."""

    def test_filters_leave_out_what_does_not_fit(self, shell: InteractiveShell) -> None:
        assert gpus(shell, "") == ["RTX A5000", "A40", "RTX 3090", "RTX A6000", "RTX 4090"]
        assert gpus(shell, "--provider local --min-vram 48 --max-price $0.45") == ["A40"]
        assert gpus(shell, "--region EU") == gpus(shell, "--spot") == []
        assert current_session() is None

    @pytest.mark.parametrize(
        ("options", "words"),
        [
            ("--cloud secur", "Did you mean 'secure'?"),
            ("--provider rumpod", "There is no provider 'rumpod'"),
            ("--min-vram -3", "is not a whole number above zero"),
            ("--save A41", "Did you mean 'A40'?"),
            ("--save A40 A41", "Nothing was saved."),
        ],
    )
    def test_a_mistake_is_one_line(self, shell: InteractiveShell, home: Path, options: str, words: str) -> None:
        assert words in refusal(shell, f"%autopod gpus {options}")
        assert not (home / "config.json").exists()

    def test_a_choice_becomes_the_default(
        self, shell: InteractiveShell, home: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        text = str(worth(shell, "%autopod gpus --save 4090,a40"))
        assert text.startswith("RTX 4090, A40 are tried from now on")
        assert json.loads((home / "config.json").read_text()) == {"defaults": {"gpu_preferences": ["RTX 4090", "A40"]}}
        assert "Pod to rent: RTX 4090 × 1" in str(worth(shell, "%autopod connect --dry-run"))
        assert "a new kernel takes the new value" in str(worth(shell, "%autopod gpus --save A40"))
        monkeypatch.setenv("AUTOPOD_GPUS", "A6000")
        assert "But environment AUTOPOD_GPUS says A6000" in str(worth(shell, "%autopod gpus --save A40"))


class TestWishes:
    """These have a session, and no pod."""

    def test_the_session_s_provider_is_asked_through_the_session(self, shell: InteractiveShell) -> None:
        assert gpus(shell, "--min-vram 48") == ["A40", "RTX A6000"]

    @pytest.mark.parametrize(
        ("options", "words"),
        [
            ("--min-vram 40 --gpu a6000", "RTX A6000 × 1 with 48 GB each, from local (this machine)"),
            ("--max-price 0.30", "RTX A5000 × 1"),
            ("--gpu 'NVIDIA GeForce RTX 4090'", "RTX 4090 × 1"),
            ("--disk 80 --volume 40", "With container disk of 80 GB, its own volume of 40 GB."),
            ("--network-volume agv6w2qcg7 --image me/comfyui:1", "network volume agv6w2qcg7, image me/comfyui:1."),
            ("--pod-template 2lv7ev3wfp", "pod template 2lv7ev3wfp."),
            ("", "If that is not to be had: A40 × 1 (this machine) at $0.40 an hour simulated."),
        ],
    )
    def test_a_dry_run_shows_what_was_wished_for(self, shell: InteractiveShell, options: str, words: str) -> None:
        assert words in str(worth(shell, f"%autopod connect {options} --dry-run"))
        assert session_now().snapshot.pods == {}

    @pytest.mark.parametrize(
        ("options", "words"),
        [
            ("--min-vram 100", "lower --min-vram"),
            ("--max-price 0.01", "raise --max-price"),
            ("--image a --pod-template b", "--image and --pod-template are both given"),
            ("--volume 20 --network-volume x", "--volume and --network-volume are both given"),
            ("--cloud privat", "none of secure, community"),
        ],
    )
    def test_a_wish_that_cannot_be_met_is_one_line(self, shell: InteractiveShell, options: str, words: str) -> None:
        assert words in refusal(shell, f"%autopod connect {options}")
        assert session_now().snapshot.pods == {}

    @pytest.mark.parametrize("written", ["RTX A40", "A40", "a40", "NVIDIA A40"])
    def test_a_job_file_may_name_a_gpu_in_short(self, shell: InteractiveShell, written: str) -> None:
        write_templates(Path("templates"), "noise")
        Path("job.yaml").write_text(f"job_id: a\nworkflow_template: noise\npod_config: {{gpu_type: {written}}}\n")
        assert "Pod to rent: A40 × 1" in str(worth(shell, "%autopod run --job job.yaml --dry-run"))
