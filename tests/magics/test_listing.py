"""Lists of pods, jobs and templates, and where ComfyUI's page is, with a pod on this machine."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from dataclasses import replace
from decimal import Decimal
from pathlib import Path

import pytest
from IPython.core.interactiveshell import InteractiveShell

from autopod_nb.magics.listing import with_strangers
from autopod_nb.models.pod import ObservedState
from autopod_nb.session.build import current_session
from autopod_nb.session.others import StrangePod
from autopod_nb.widgets.listing import pods_table
from autopod_nb.widgets.table import table_html, table_text
from tests.magics.cells import refusal, run, session_now, worth, write_templates
from tests.widgets.views import snapshot


@pytest.fixture(scope="module", autouse=True)
def folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The current folder, with templates of one's own."""
    folder = tmp_path_factory.mktemp("work")
    write_templates(folder / "templates", "noise", "fails")
    (folder / "templates" / "broken.json").write_text("{")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        yield folder


def html(value: object) -> str:
    """The form that a notebook shows."""
    return value._repr_html_().replace("<span>$</span>", "$")  # type: ignore[attr-defined,no-any-return]  # as IPython asks


class TestWithoutASession:
    """These run first: nothing has opened a session yet."""

    def test_jobs_open_none(self, shell: InteractiveShell) -> None:
        assert "No jobs in this session yet" in str(worth(shell, "%autopod jobs"))
        assert json.loads(str(worth(shell, "%autopod jobs --json"))) == []
        assert json.loads(str(worth(shell, "%autopod jobs --all --json"))) == []
        assert current_session() is None

    def test_templates_are_listed_with_what_they_take_and_why_one_cannot_be_used(self, shell: InteractiveShell) -> None:
        found = worth(shell, "%autopod templates")
        text = str(found)
        assert "noise" in text
        assert "seed=1, strength=0.5" in text
        assert "broken cannot be used: " in text
        assert "templates/noise.json" in text
        assert "<table" in html(found)
        assert current_session() is None

    def test_one_template_comes_with_a_cell_to_begin_with(self, shell: InteractiveShell) -> None:
        text = str(worth(shell, "%autopod templates img2vid-basic"))
        assert "input  image" in text
        assert "needs the node classes CreateVideo" in text
        assert text.split("\n\n")[1].startswith(
            "%%comfyjob img2vid-basic\ninputs:\n  image: PATH\nparams:\n  width: 512"
        )

    def test_templates_as_json_hold_the_defaults(self, shell: InteractiveShell) -> None:
        rows = {row["name"]: row for row in json.loads(str(worth(shell, "%autopod templates --json")))}
        assert rows["noise"]["default_params"] == {"seed": 1, "strength": 0.5}
        assert rows["broken"]["error"]
        assert json.loads(str(worth(shell, "%autopod templates noise --json"))) == [rows["noise"]]

    def test_a_template_that_is_not_there_is_one_line(self, shell: InteractiveShell) -> None:
        assert "Did you mean 'noise'?" in refusal(shell, "%autopod templates nois")


class TestStrangers:
    """Pods that only the provider knows; the last one of these opens the session."""

    POD = StrangePod(
        provider="runpod",
        provider_id="xyz123",
        name="<b>old",
        state=ObservedState.RUNNING,
        gpu="1 × A40",
        price_per_hour_usd=Decimal("0.44"),
        age_s=9000,
    )

    def test_a_stranger_has_a_row_with_price_and_cost_and_a_line_that_says_how_to_end_it(self) -> None:
        _, row, note = table_text(with_strangers(pods_table(snapshot(pods=()), []), [self.POD])).splitlines()
        assert row.split("  ")[0] == "xyz123"
        assert "1 × A40 (runpod)  $0.44 an hour  about $1.10  unknown to the ledger" in row
        assert note.startswith("Pod xyz123 at runpod (named '<b>old', rented 2:30:00 ago) may bill")
        assert note.endswith("`%autopod kill xyz123 --yes`.")
        assert "<b>" not in table_html(with_strangers(pods_table(snapshot(), []), [self.POD]))

    def test_what_is_unknown_is_said_to_be_and_one_that_should_be_gone_is_named(self) -> None:
        pod = replace(self.POD, price_per_hour_usd=None, age_s=None, gpu="", pod_id="3fa2c1")
        _, ours, row, *_ = table_text(with_strangers(pods_table(snapshot(), []), [pod])).splitlines()
        assert ours.startswith("3fa2c1")
        assert "GPU unknown (runpod)" in row
        assert "3fa2c1, gone by the ledger" in row

    def test_a_pod_of_somebody_else_is_listed_and_left_alone(self, shell: InteractiveShell, home: Path) -> None:
        folder = home / "pods" / "strange"
        folder.mkdir(parents=True)
        (folder / "order.json").write_text("{}")
        text = str(worth(shell, "%autopod pods"))
        assert "No pod is known" not in text
        assert "Pod strange at local" in text
        (row,) = json.loads(str(worth(shell, "%autopod pods --json")))
        assert (row["pod_id"], row["provider_id"], row["state"], row["owner"]) == (None, "strange", "stopped", "")
        assert folder.exists()
        shutil.rmtree(folder)

    def test_a_provider_that_cannot_be_asked_is_said_and_hides_nothing(
        self, shell: InteractiveShell, home: Path
    ) -> None:
        (home / "pods").rmdir()
        (home / "pods").touch()
        first, second = str(worth(shell, "%autopod pods")).splitlines()
        assert "cannot be read" in first
        assert "Pods that only the provider knows are missing here, and may bill." in first
        assert "No pod is known that may bill" in second
        (row,) = json.loads(str(worth(shell, "%autopod pods --json")))
        assert (row["provider"], row["state"]) == ("local", "unknown")
        assert "cannot be read" in row["error"]
        (home / "pods").unlink()


class TestWithAPod:
    """One pod; these build on each other."""

    def test_no_pod_is_said_in_words(self, shell: InteractiveShell) -> None:
        assert "No pod is known that may bill" in str(worth(shell, "%autopod pods"))
        assert json.loads(str(worth(shell, "%autopod pods --json"))) == []
        assert "nothing to take over" in str(worth(shell, "%autopod adopt"))
        assert "No pod is running" in refusal(shell, "%autopod gui")

    def test_a_pod_is_listed_with_its_price_port_and_end(self, shell: InteractiveShell) -> None:
        worth(shell, "%autopod connect")
        assert "has no tunnel yet" in refusal(shell, "%autopod gui")
        run(shell, "%autopod wait")
        (pod,) = session_now().snapshot.pods.values()
        found = worth(shell, "%autopod pods")
        line = str(found).splitlines()[1]
        assert line.startswith(f"{pod.pod_id}  ready")
        assert f"$0.40 an hour simulated  $0.0{str(pod.cost_usd)[3:5]}" in line
        assert f"this session  {pod.local_port}" in line
        assert "without work" in line
        assert "$0.40 an hour simulated" in html(found)
        (row,) = json.loads(str(worth(shell, "%autopod pods --json")))
        assert (row["pod_id"], row["owner"], row["local_port"]) == (pod.pod_id, "this session", pod.local_port)

    def test_the_address_of_comfyui_is_a_link(self, shell: InteractiveShell) -> None:
        (pod,) = session_now().snapshot.pods.values()
        found = worth(shell, "%autopod gui")
        address = f"http://127.0.0.1:{pod.local_port}/"
        assert f"Directly: {address}" in str(found)
        assert f'<a href="{address}" target="_blank" rel="noopener noreferrer">{address}</a>' in html(found)
        assert "No pod 'x'" in refusal(shell, "%autopod gui x")

    def test_jobs_are_listed_newest_first_with_results_and_reasons(self, shell: InteractiveShell) -> None:
        for name in ("noise", "fails"):
            run(shell, f"%%comfyjob {name} --name {name}-1 --wait\nparams: {{}}")
        text = str(worth(shell, "%autopod jobs"))
        rows = [line.split("  ")[0] for line in text.splitlines()]
        assert rows.index("fails-1") < rows.index("noise-1")
        assert "outputs/noise-1/picture.png" in text
        assert "fails-1: Divides by zero (VAEEncodeTiled, node 3) raised ZeroDivisionError: division by zero" in text
        assert text.count("division by zero") == 1, "said once"
        states = {row["job_id"]: row["state"] for row in json.loads(str(worth(shell, "%autopod jobs --json")))}
        assert states == {"noise-1": "done", "fails-1": "failed"}
        assert len(worth(shell, "%autopod jobs --all")) == 2  # type: ignore[arg-type]  # a DataFrame
        assert {row["job_id"] for row in json.loads(str(worth(shell, "%autopod jobs --all --json")))} == set(states)

    def test_the_panel_is_the_session(self, shell: InteractiveShell) -> None:
        assert worth(shell, "%autopod panel") is session_now()

    def test_a_pod_that_is_gone_is_only_counted(self, shell: InteractiveShell) -> None:
        run(shell, "%autopod kill --yes")
        run(shell, "%autopod wait")
        assert "1 pod of this session ended" in str(worth(shell, "%autopod pods"))
