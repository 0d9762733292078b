"""The README says what is, and what it shows works."""

from __future__ import annotations

import inspect
import json
import re
from decimal import Decimal
from pathlib import Path

from autopod_nb import errors, verbs
from autopod_nb.comfyui.workflow import find_template, load_template
from autopod_nb.config import SETTINGS, read_settings
from autopod_nb.config_file import config_path, config_rows
from autopod_nb.errors import AutopodError
from autopod_nb.jobs.preflight import check_files, preflight
from autopod_nb.jobs.spec import parse_cell, parse_cell_jobs, read_job_file

ROOT = Path(__file__).resolve().parent.parent
README = (ROOT / "README.md").read_text()


def _block(language: str, containing: str) -> str:
    blocks = re.findall(rf"```{language}\n(.*?)```", README, re.DOTALL)
    (found,) = [block for block in blocks if containing in block]
    return str(found)


def test_every_verb_and_option_is_in_the_readme() -> None:
    """The table is the one that the table of commands makes."""
    assert verbs.verbs_markdown().strip() in README


def test_the_job_file_of_the_readme_passes_every_check(tmp_path: Path) -> None:
    file = tmp_path / "job.json"
    file.write_text(_block("json", "workflow_template"))
    spec = read_job_file(file, cwd=ROOT)
    template = load_template(find_template(spec.workflow_template, cwd=ROOT))
    assert not preflight(spec, template)
    assert not check_files(spec)
    assert json.loads(file.read_text())["job_id"] == spec.job_id


def test_the_cell_of_the_readme_passes_every_check() -> None:
    first, body = _block("text", "--wait --max-cost 0.05").split("\n\n")[0].split("\n", 1)
    name = first.split()[1]
    spec = parse_cell(body, template=name, namespace={}, cwd=ROOT)
    template = load_template(find_template(name, cwd=ROOT))
    assert not preflight(spec, template)
    assert not check_files(spec)


def test_every_shipped_template_is_in_the_readme_with_its_inputs_and_parameters() -> None:
    for file in sorted((ROOT / "templates").glob("*.json")):
        template = load_template(file)
        (line,) = [line for line in README.splitlines() if line.startswith(f"| `{template.name}` |")]
        *_, inputs, params, _ = line.split("|")
        assert re.findall(r"`([^`]+)`", inputs) == list(template.inputs)
        assert re.findall(r"`([^`]+)`", params) == list(template.params)


def test_every_error_is_in_the_readme_with_its_meaning() -> None:
    """The table says what the class says, and what to do."""
    rows = re.findall(r"^\| `(\w+)` \| (.+?) \| (.+) \|$", README, re.MULTILINE)
    found, to_do = {name: meaning for name, meaning, _ in rows}, {name: text for name, _, text in rows}
    classes = [each for each in vars(errors).values() if isinstance(each, type) and issubclass(each, AutopodError)]
    for each in classes:
        assert found[each.__name__] == (inspect.getdoc(each) or "").splitlines()[0].replace("``", "`")
        assert to_do[each.__name__].endswith((".", "`"))


def test_the_sweep_of_the_readme_makes_six_jobs_that_pass_every_check() -> None:
    first, body = _block("text", "sweep:").split("\n", 1)
    name = first.split()[1]
    specs = parse_cell_jobs(body, template=name, namespace={}, cwd=ROOT)
    template = load_template(find_template(name, cwd=ROOT))
    assert len(specs) == 6
    assert not [fault for spec in specs for fault in preflight(spec, template)]


def test_every_variable_that_settings_read_is_in_the_readme_with_its_default(tmp_path: Path) -> None:
    source = (ROOT / "autopod_nb" / "config.py").read_text()
    read = set(re.findall(r'"((?:AUTOPOD|RUNPOD)_[A-Z_]+)"', source))
    rows = re.findall(r"^\| (?:`([A-Z_]+)`|–) \| `([^`]*)` \| (?:`([a-z_.]+)`|–) \|", README, re.MULTILINE)
    assert {variable for variable, _, _ in rows if variable} == read
    by_key = {key: (variable, default) for variable, default, key in rows if key}
    assert set(by_key) <= {setting.key for setting in SETTINGS}
    shown = {row.key: row.value for row in config_rows(tmp_path, {})}
    for setting in SETTINGS:
        if setting.of_account and setting.key not in by_key:
            assert f"`{setting.field}`" in README
        else:
            assert by_key[setting.key] == (setting.variable or "", shown[setting.key])


def test_the_config_file_of_the_readme_is_read(tmp_path: Path) -> None:
    config_path(tmp_path).write_text(_block("json", "gpu_preferences"))
    settings = read_settings({"AUTOPOD_HOME": str(tmp_path)})
    assert (settings.gpu_preferences, settings.idle_minutes) == (("RTX 4090", "A40"), Decimal(5))
    assert (settings.session_limit_usd, settings.job_limit_usd) == (Decimal(5), Decimal("0.5"))


def test_the_make_targets_of_the_readme_exist() -> None:
    makefile = (ROOT / "Makefile").read_text()
    targets = set(re.findall(r"(?:^|`)make ([a-z][a-z-]*)\b", README, re.MULTILINE))
    assert {"demo", "lab", "test", "lint", "bench"} <= targets
    assert all(re.search(rf"^{target}:", makefile, re.MULTILINE) for target in targets)
