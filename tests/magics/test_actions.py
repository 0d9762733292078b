"""Every verb in IPython, with a pod on this machine: what it returns, what it refuses, what it makes."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from IPython.core.interactiveshell import InteractiveShell

from autopod_nb.session.build import current_session
from autopod_nb.session.handle import Job
from tests.magics.cells import refusal, run, session_now, worth, write_templates

ROOT = Path(__file__).parents[2]
BODY = "inputs:\n  image: $image\nparams:\n  width: 128\n  height: 128\n"


@pytest.fixture(autouse=True)
def in_a_folder_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, shell: InteractiveShell) -> None:
    monkeypatch.chdir(tmp_path)
    shell.user_ns["image"] = ROOT / "jobs" / "inputs" / "portrait.jpg"


class TestWithoutASession:
    """These run first: nothing has opened a session yet."""

    @pytest.mark.parametrize("verb", ["wait", "cancel x", "stop", "kill", "detach", "panel", "gui"])
    def test_verbs_that_need_one_say_how_to_begin(self, shell: InteractiveShell, verb: str) -> None:
        assert refusal(shell, f"%autopod {verb}") == (
            "UsageError: There is no session yet: `%autopod connect` rents a pod."
        )

    def test_status_and_help_open_none(self, shell: InteractiveShell, home: Path) -> None:
        assert "No session yet" in str(worth(shell, "%autopod status"))
        assert json.loads(str(worth(shell, "%autopod status --json")))["pods"] == []
        assert "%autopod VERB" in str(worth(shell, "%autopod"))
        assert "--gpu NAME" in str(worth(shell, "%autopod help connect"))
        assert "TEMPLATE" in str(worth(shell, "%autopod help comfyjob"))
        assert current_session() is None
        assert not (home / "ledger.sqlite3").exists()

    def test_help_as_an_option_is_printed(self, shell: InteractiveShell) -> None:
        result, text = run(shell, "%autopod connect --help")
        assert result.result is None
        assert text.startswith("%autopod connect [--provider NAME]")
        assert run(shell, "%%comfyjob --help\nx: 1")[1].startswith("%%comfyjob TEMPLATE")

    def test_a_history_that_is_not_there_yet_is_empty(self, shell: InteractiveShell) -> None:
        assert len(worth(shell, "%autopod history")) == 0  # type: ignore[arg-type]  # a DataFrame


class TestDryRun:
    def test_connect_shows_pod_price_and_limits_and_makes_nothing(self, shell: InteractiveShell) -> None:
        text = str(worth(shell, "%autopod connect --gpu a6000 --max-cost $2.50 --idle-minutes 3 --dry-run"))
        assert "RTX A6000 × 1" in text
        assert "$0.49 an hour simulated" in text
        assert "after 3 minutes without work. Limit of the session: $2.50." in text
        assert "nothing was made" in text
        assert session_now().snapshot.pods == {}

    def test_a_job_shows_files_with_sizes_results_and_limits(self, shell: InteractiveShell) -> None:
        text = str(worth(shell, f"%%comfyjob img2vid-basic --name dry --max-cost $5 --timeout 7.50 --dry-run\n{BODY}"))
        assert "Pod to rent: A40 × 1" in text
        assert "ends when its jobs are done" in text
        assert "upload image: " in text
        assert "portrait.jpg (61.3 kB)" in text
        assert "param width: 128" in text
        assert "limits: $5.00, 7.5 minutes" in text
        assert (session_now().snapshot.pods, session_now().snapshot.jobs) == ({}, {})

    def test_a_job_with_a_fault_is_refused_in_a_dry_run_too(self, shell: InteractiveShell) -> None:
        line = refusal(shell, "%%comfyjob img2vid-basic --dry-run\ninputs:\n  imag: x.jpg\n")
        assert "cell, line 3, inputs.imag" in line
        assert "Did you mean 'image'?" in line


class TestRefusals:
    @pytest.mark.parametrize(
        ("code", "words"),
        [
            ("%autopod connect --gpu H100", "No GPU 'H100' is offered"),
            ("%autopod connect --gpu 4090 --gpu-count 2", "say --yes"),
            ("%autopod connect --provider rumpod", "'rumpod'"),
            ("%autopod run --job nowhere.json", "there is no such job file"),
            ("%autopod cancel nowhere", "No job 'nowhere'"),
            ("%autopod wait nowhere", "No job 'nowhere'"),
            ("%autopod kill nowhere", "No pod 'nowhere'"),
            ("%autopod stop", "No pod is running"),
            ("%autopod stop --all", "No pod is running"),
            ("%autopod kill x --all", "name one pod, or say --all alone"),
            (
                "%autopod connect --pods 3 --max-cost 9",
                "3 pods of A40 × 1 would cost 1.20 USD an hour, more than 1: say",
            ),
            ("%%comfyjob img2vid-basi\ninputs: {}", "Did you mean 'img2vid-basic'?"),
            ("%%comfyjob img2vid-basic\ninputs:\n  image: $nowhere", "nowhere"),
            ("%%comfyjob img2vid-basic --pod nowhere --dry-run\n" + BODY, "No pod 'nowhere' takes jobs"),
            ("%%comfyjob img2vid-basic --max-cost -1\n" + BODY, "not an amount of dollars"),
        ],
    )
    def test_a_mistake_is_one_line_and_nothing_is_made(self, shell: InteractiveShell, code: str, words: str) -> None:
        assert words in refusal(shell, code)
        assert session_now().snapshot.pods == {}


class TestAPod:
    """One pod from its beginning to its end; these build on each other."""

    def test_connect_returns_the_session_which_shows_the_pod(self, shell: InteractiveShell) -> None:
        session = worth(shell, "%autopod connect;")
        assert session is session_now()
        assert len(session_now().snapshot.pods) == 1
        result, text = run(shell, "%autopod wait")
        assert result.result is None
        assert "ready" in text
        assert "Nothing to wait for" in str(worth(shell, "%autopod wait"))

    def test_a_cell_with_wait_prints_progress_and_puts_the_handle_into_a_variable(
        self, shell: InteractiveShell
    ) -> None:
        result, text = run(shell, f"%%comfyjob img2vid-basic --name first --wait -o clip\n{BODY}")
        assert result.success
        assert result.result is None
        assert "first: done" in text
        clip = shell.user_ns["clip"]
        assert isinstance(clip, Job)
        assert clip.outputs["video"][0].is_file()
        assert clip.cost_usd > 0

    def test_a_handle_shows_itself_as_text(self, shell: InteractiveShell) -> None:
        _, text = run(shell, "clip")
        assert "Job first (img2vid-basic): done" in text
        _, text = run(shell, "%autopod status")
        assert "first: done" in text

    def test_a_job_file_runs_with_the_limits_of_the_option_line(self, shell: InteractiveShell, tmp_path: Path) -> None:
        job = {
            "job_id": "second",
            "workflow_template": "img2vid-basic",
            "inputs": {"image": str(shell.user_ns["image"])},
            "params": {"width": 128, "height": 128},
            "outputs": {"video": "out/{job_id}.mp4"},
        }
        Path("second.json").write_text(json.dumps(job))
        handle = worth(shell, "%autopod run --job second.json --max-cost 0.25")
        assert isinstance(handle, Job)
        assert str(handle.view.max_cost_usd) == "0.25"
        assert worth(shell, "%autopod wait second --timeout 60") is None
        assert (tmp_path / "out" / "second.mp4").is_file()

    def test_several_job_files_give_one_handle_of_all(self, shell: InteractiveShell) -> None:
        for name in ("third", "fourth"):
            Path(f"{name}.yaml").write_text(
                f"job_id: {name}\nworkflow_template: img2vid-basic\ninputs: {{image: {shell.user_ns['image']}}}\n"
                "params: {width: 64, height: 64}\n"
            )
        result, text = run(shell, "%autopod run --job third.yaml fourth.yaml --wait -o pair")
        assert result.success, text
        assert [job.job_id for job in shell.user_ns["pair"].jobs] == ["third", "fourth"]
        assert "third: done" in text
        assert "fourth: done" in text

    def test_a_pattern_of_job_files_runs_them_in_the_order_of_their_names(self, shell: InteractiveShell) -> None:
        for name in ("glob-b", "glob-a"):
            Path(f"{name}.yaml").write_text(f"job_id: {name}\nworkflow_template: noise\n")
        write_templates(Path("templates"), "noise")
        result, text = run(shell, "%autopod run --jobs 'glob-*.yaml' --job glob-b.yaml --wait -o found")
        assert result.success, text
        assert [job.job_id for job in shell.user_ns["found"].jobs] == ["glob-b", "glob-a"], "the named one came first"
        assert "no file matches" in refusal(shell, "%autopod run --jobs 'nothing-*.yaml'")
        assert "--job FILE or --jobs" in refusal(shell, "%autopod run --wait")

    def test_a_sweep_gives_one_handle_and_a_failed_job_does_not_stop_the_rest(self, shell: InteractiveShell) -> None:
        write_templates(Path("templates"), "noise")
        plan = str(worth(shell, "%%comfyjob noise --name plan --dry-run\nsweep: {seed: [1, 2, 3, 4, 5, 6, 7]}"))
        assert "… and 2 jobs more, 7 in all." in plan
        result, text = run(shell, "%%comfyjob noise --name many --wait -o many\nsweep: {seed: [31, 32, 33]}")
        assert result.success, text
        many = shell.user_ns["many"]
        assert [job.job_id for job in many.jobs] == ["many-001", "many-002", "many-003"]
        assert [dict(job.view.swept) for job in many.jobs] == [{"seed": 31}, {"seed": 32}, {"seed": 33}]
        assert len({job.outputs["picture"][0].read_bytes() for job in many.jobs}) == 3
        assert "many: 3 jobs · 3 done" in run(shell, "many")[1]

    def test_a_job_is_run_again_under_a_new_name_whatever_the_current_folder_is(self, shell: InteractiveShell) -> None:
        result, text = run(shell, "%autopod again many-002 --wait -o more")
        assert result.success, text
        assert "many-002-2: done" in text
        more, before = shell.user_ns["more"], session_now().job("many-002")
        assert more.job_id == "many-002-2"
        assert more.outputs["picture"][0].read_bytes() == before.outputs["picture"][0].read_bytes()
        assert more.outputs["picture"][0].parent.name == "many-002-2"
        assert "No job 'nowhere'" in refusal(shell, "%autopod again nowhere")

    def test_a_pod_that_rests_is_kept(self, shell: InteractiveShell) -> None:
        assert "stays as if it had just become idle" in str(worth(shell, "%autopod keep"))
        assert "No pod 'nowhere'" in refusal(shell, "%autopod keep nowhere")

    def test_after_a_failure_the_others_run_or_are_cancelled_as_was_asked(self, shell: InteractiveShell) -> None:
        write_templates(Path("templates"), "noise", "fails", "slow")
        for name, template in {"e1": "fails", "e2": "noise", "s1": "fails", "s2": "slow"}.items():
            Path(f"{name}.yaml").write_text(f"job_id: {name}\nworkflow_template: {template}\n")
        line = refusal(shell, "%autopod run --job e1.yaml e2.yaml --wait")
        assert line.startswith("JobFailed: e1 failed")
        assert "e2" not in line
        line = refusal(shell, "%autopod run --job s1.yaml s2.yaml --wait --stop-on-error")
        assert "s1 failed" in line
        assert "s2 cancelled" in line

    def test_one_bad_file_keeps_the_others_from_running(self, shell: InteractiveShell) -> None:
        body = f"workflow_template: img2vid-basic\ninputs: {{image: {shell.user_ns['image']}}}\n"
        Path("good.yaml").write_text(f"job_id: good\n{body}")
        Path("bad.yaml").write_text(f"job_id: bad\n{body}params: {{widht: 5}}\n")
        assert "Did you mean 'width'?" in refusal(shell, "%autopod run --job good.yaml bad.yaml")
        assert "good" not in session_now().snapshot.jobs

    def test_a_cancelled_job_fails_the_one_who_waits_with_one_line(self, shell: InteractiveShell) -> None:
        body = BODY.replace("128", "1024")
        worth(shell, f"%%comfyjob img2vid-basic --name long -o long\n{body}")
        assert "Cancelling long" in str(worth(shell, "%autopod cancel long"))
        assert refusal(shell, "%autopod wait long").startswith("JobFailed: long cancelled")

    def test_waiting_has_an_end_when_asked(self, shell: InteractiveShell) -> None:
        body = BODY.replace("128", "1024")
        worth(shell, f"%%comfyjob img2vid-basic --name slow -o slow\n{body}")
        assert refusal(shell, "%autopod wait slow --timeout 0.05").startswith("TimeoutError: Not over after 0.05 s")
        worth(shell, "%autopod cancel slow")

    def test_detach_says_what_will_end_the_pod(self, shell: InteractiveShell) -> None:
        assert "is left running" in str(worth(shell, "%autopod detach"))
        while not any(pod.detached for pod in session_now().snapshot.pods.values()):  # the test's time-out bounds it
            session_now().wait_newer(session_now().snapshot.number, 1)
        assert "detached" in run(shell, "%autopod status")[1]

    def test_stop_and_wait_leave_no_pod(self, shell: InteractiveShell) -> None:
        assert "finishes its running job" in str(worth(shell, "%autopod stop"))
        run(shell, "%autopod wait")
        assert all(pod.over for pod in session_now().snapshot.pods.values())

    def test_status_as_json_and_history_agree_on_what_ran(self, shell: InteractiveShell) -> None:
        facts = json.loads(str(worth(shell, "%autopod status --json")))
        done = {job["job_id"] for job in facts["jobs"] if job["state"] == "done"}
        assert {"first", "second", "third", "fourth"} <= done
        assert len(worth(shell, "%autopod history")) >= 4  # type: ignore[arg-type]  # a DataFrame
        assert len(worth(shell, "%autopod history --limit 2")) == 2  # type: ignore[arg-type]  # a DataFrame

    def test_several_pods_are_rented_and_ended_together(self, shell: InteractiveShell) -> None:
        before = set(session_now().snapshot.pods)
        assert "2 pods to rent: A40 × 1" in str(worth(shell, "%autopod connect --pods 2 --dry-run"))
        worth(shell, "%autopod connect --pods 2")
        pods = set(session_now().snapshot.pods) - before
        assert len(pods) == 2
        assert refusal(shell, "%autopod stop").startswith("UsageError: Several pods are running, so name one: ")
        said = str(worth(shell, "%autopod kill --all"))
        assert {f"Pod {pod_id} is being terminated." for pod_id in pods} == set(said.splitlines())
        run(shell, "%autopod wait")
        assert all(session_now().snapshot.pods[pod_id].over for pod_id in pods)

    def test_a_job_without_a_pod_rents_one_that_ends_with_it(self, shell: InteractiveShell) -> None:
        before = set(session_now().snapshot.pods)
        result, text = run(shell, f"%%comfyjob img2vid-basic --name alone --wait\n{BODY}")
        assert result.success, text
        run(shell, "%autopod wait")
        snapshot = session_now().snapshot
        assert len(set(snapshot.pods) - before) == 1
        assert all(pod.over for pod in snapshot.pods.values())
