"""Completion through IPython's own completer."""

from __future__ import annotations

from pathlib import Path

import pytest
from IPython.core.completer import provisionalcompleter
from IPython.core.interactiveshell import InteractiveShell

from autopod_nb.jobs.spec import make_spec
from autopod_nb.magics import candidates
from autopod_nb.providers.registry import provider_names
from autopod_nb.session.build import open_session
from autopod_nb.session.commands import PodRequest
from autopod_nb.verbs import VERBS

PORTRAIT = Path(__file__).parents[2] / "jobs" / "inputs" / "portrait.jpg"


@pytest.fixture(autouse=True)
def in_an_empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def completions(shell: InteractiveShell, line: str) -> list[str]:
    """What Tab offers at the end of *line*."""
    assert shell.Completer is not None
    with provisionalcompleter():
        found = list(shell.Completer.completions(line, len(line)))
    return [completion.text for completion in found]


@pytest.mark.parametrize("before", ["%autopod ", "plan = %autopod ", "  %autopod "])
def test_verbs_are_offered_and_nothing_else(shell: InteractiveShell, before: str) -> None:
    assert sorted(completions(shell, before)) == sorted(verb.name for verb in VERBS)


@pytest.mark.parametrize(
    ("line", "offered"),
    [
        ("%autopod st", ["status", "stop"]),
        ("%autopod connect --g", ["--gpu", "--gpu-count"]),
        ("%autopod connect --gpu A", ["A40", "A5000", "A6000"]),
        ("%autopod connect --gpu A40 --gpu", ["--gpu-count"]),
        ("%autopod connect --provider lo", ["local"]),
        ("%autopod status --", ["--json"]),
        ("%autopod connect --cloud ", ["community", "secure"]),
        ("%autopod gpus --min", ["--min-vram"]),
        ("%autopod gpus --save A40 A6", ["A6000"]),
        ("%autopod costs --by ", ["gpu", "job", "pod", "template"]),
        ("%autopod gpus --save A40 A", ["A5000", "A6000"]),
        ("%autopod connect --gpu=A", ["--gpu=A40", "--gpu=A5000", "--gpu=A6000"]),
        ("%autopod export --format=p", ["--format=parquet"]),
        ("%autopod help ki", ["kill"]),
        ("%autopod help comf", ["comfyjob"]),
        ("%autopod templates img", ["img2vid-basic", "img2vid-wan"]),
        ("%autopod config s", ["set"]),
        ("%autopod config set defaults.idle", ["defaults.idle_minutes"]),
        ("%autopod export --format ", ["csv", "json", "parquet"]),
        ("%autopod stop ", ["--all", "--now"]),
        ("%%comfyjob img", ["img2vid-basic", "img2vid-wan"]),
        ("%%comfyjob img2vid-basic --w", ["--wait", "--within"]),
    ],
)
def test_options_and_values_are_offered_where_they_fit(shell: InteractiveShell, line: str, offered: list[str]) -> None:
    assert sorted(completions(shell, line)) == offered


@pytest.mark.parametrize(
    ("magic", "before"),
    [
        ("%autopod", ["connect", "--max-cost"]),
        ("%autopod", ["status", "--json"]),
        ("%autopod", ["frobnicate"]),
        ("%%comfyjob", ["img2vid-basic", "-o"]),
    ],
)
def test_where_only_the_person_knows_nothing_is_offered(magic: str, before: list[str]) -> None:
    """IPython then shows its own ideas; a matcher cannot prevent that without one of its own."""
    assert candidates.candidates(magic, before) == []


def test_a_template_is_offered_once_and_also_after_an_option_with_its_value() -> None:
    assert "img2vid-basic" not in (candidates.candidates("%%comfyjob", ["img2vid-basic"]) or [])
    assert "img2vid-basic" in (candidates.candidates("%%comfyjob", ["--max-cost", "0.5", "--wait"]) or [])


def test_files_are_left_to_ipython(shell: InteractiveShell, tmp_path: Path) -> None:
    (tmp_path / "portrait.json").touch()
    assert "portrait.json" in completions(shell, "%autopod run --job port")
    assert candidates.candidates("%autopod", ["run", "--job"]) is None


def test_templates_of_the_user_are_offered_beside_those_that_ship(shell: InteractiveShell, tmp_path: Path) -> None:
    (tmp_path / "templates").mkdir()
    (tmp_path / "templates" / "my-own.json").touch()
    assert {"my-own", "img2vid-basic"} <= set(completions(shell, "%%comfyjob "))


def test_other_lines_are_none_of_our_business(shell: InteractiveShell) -> None:
    assert "connect" not in completions(shell, "%autopodx ")
    assert "connect" not in completions(shell, "print(")


def test_the_providers_that_are_offered_are_those_that_exist() -> None:
    assert candidates.candidates("%autopod", ["connect", "--provider"]) == list(provider_names())
    assert "local" in provider_names()


def test_pods_and_jobs_of_the_session_are_offered_as_long_as_they_are_not_over(
    shell: InteractiveShell, home: Path, tmp_path: Path
) -> None:
    """No session is opened by completion; with one, its pods and jobs come first."""
    assert completions(shell, "%autopod kill ") == ["--all", "--yes"]
    session = open_session("local")
    pod_id = session.connect(session.plan(PodRequest()))
    for name in ("clip-a", "clip-b"):
        outputs = {"video": tmp_path / f"{name}.mp4"}
        session.submit(make_spec("img2vid-basic", job_id=name, inputs={"image": PORTRAIT}, outputs=outputs))
    snapshot = session.snapshot
    while not {"clip-a", "clip-b"} <= set(snapshot.jobs) or pod_id not in snapshot.pods:
        snapshot = session.wait_newer(snapshot.number, 10.0)
    for verb in ("kill", "stop", "detach", "logs"):
        assert pod_id in completions(shell, f"%autopod {verb} ")
        assert completions(shell, f"%autopod {verb} {pod_id[:3]}") == [pod_id]
    assert completions(shell, f"%%comfyjob img2vid-basic --pod {pod_id[:2]}") == [pod_id]
    assert completions(shell, "%autopod cancel clip") == ["clip-a", "clip-b"]
    assert completions(shell, "%autopod wait clip-a clip") == ["clip-b"]
    session.kill(pod_id, yes=True)
    while not snapshot.pods[pod_id].over:
        snapshot = session.wait_newer(snapshot.number, 10.0)
    assert pod_id not in completions(shell, "%autopod kill ")
