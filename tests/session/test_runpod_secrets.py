"""No secret is to be seen anywhere: planted marks, a search through everything, and a control that it finds them."""

from __future__ import annotations

import json
import subprocess
import sys
import traceback
from collections.abc import Iterator
from pathlib import Path

import pytest

from autopod_nb.config import LEDGER_NAME
from autopod_nb.errors import AutopodError
from autopod_nb.jobs.spec import make_spec
from autopod_nb.models.pod import PodState
from autopod_nb.ssh.keys import own_key_path
from tests.fakes.service import RunpodService
from tests.magics.kernel import Output, start_kernel
from tests.session.graphs import GRAPHS
from tests.session.rented_secrets import Find, Search, faces, here, private_key_marks
from tests.session.rented_world import Tenant, end_processes_of, environ_of, quick_service

pytestmark = pytest.mark.faults
_TOKEN = "hf_plantedPLANTED0123456789abcdefghij"
_LOG = "logs/autopod.log"
_REAPER_LOG = "logs/reaper.log"
_PROMPT = "an-unpublished-idea-about-a-lighthouse"
_CREATE = "POST /v2/pods"
_DELETE = "DELETE /v2/pods/{id}"


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunpodService]:
    with quick_service(tmp_path_factory.mktemp("secrets") / "it") as service:
        yield service


@pytest.fixture
def tenant(service: RunpodService, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Tenant]:
    service.reset()
    monkeypatch.setenv("HF_TOKEN", _TOKEN)
    tenant = Tenant(tmp_path, service, monkeypatch)
    yield tenant
    tenant.end()


def test_no_secret_is_in_files_errors_reprs_panels_or_command_lines(tenant: Tenant) -> None:
    """Through a life with lost answers, a refused key and a pod that will not end at first."""
    marks = {"the API key": tenant.service.api_key, "a token of the environment": _TOKEN}
    search = Search(marks)
    with search.watching(but=[here()]):
        _live(tenant, search)
    marks["the key of the pod"] = tenant.service.pods()[0]["key"]
    key_path = own_key_path(tenant.home)
    marks |= private_key_marks(key_path)
    search.own = frozenset({str(key_path.relative_to(tenant.home))})
    search.text("a repr", tenant.session, tenant.session.settings, tenant.provider, vars(tenant.session))
    search.text("a repr", vars(tenant.provider), tenant.session.snapshot)
    for place, text in faces(tenant.session.snapshot):
        search.text(place, text)
    tenant.end()
    search.folder(tenant.home)
    shown = {"an error", "a repr", "the panel", "the JSON of the status", "job one", "the text of job one"}
    assert shown | {_LOG, _REAPER_LOG, LEDGER_NAME} <= search.looked.keys()
    assert search.looked["a command line"] > 100
    assert search.found == set()


def _live(tenant: Tenant, search: Search) -> None:
    tenant.service.arm("cut_after", _CREATE)
    pod_id = tenant.rent()
    tenant.submit("noise", "one").wait(30)
    tenant.service.set(key_revoked=True)
    try:
        tenant.session.plan(tenant.request())
    except AutopodError as error:
        search.text("an error", error, error.args, vars(error), *traceback.format_exception(error))
    else:
        raise AssertionError("a key that was revoked is good for nothing")
    tenant.session.stop()
    tenant.follow(lambda: "may still bill" in tenant.notices)
    tenant.service.set(key_revoked=False)
    tenant.follow(lambda: tenant.pod(pod_id).state is PodState.TERMINATED)


def test_what_somebody_asks_for_is_in_no_log_and_no_command_line(tenant: Tenant) -> None:
    """The ledger has it, so that another process can go on with the job; nothing else needs it."""
    graph = json.loads(json.dumps(GRAPHS["slow"]).replace('"a harbour"', '"{param.prompt}"'))
    template = tenant.folder / "asked.json"
    template.write_text(json.dumps(graph))
    search = Search({"the prompt": _PROMPT})
    with search.watching(but=[here()]):
        tenant.rent()
        params = {"prompt": _PROMPT, "steps": 2}
        spec = make_spec(str(template), job_id="asked", params=params, outputs={"picture": tenant.out / "asked.png"})
        tenant.session.submit(spec).wait(60)
        tenant.session.stop()
        tenant.follow(lambda: not tenant.is_billed())
    for path in (path for path in tenant.home.rglob("*.log*") if path.is_file()):
        search.text(str(path.relative_to(tenant.home)), path.read_text())
    assert {"a command line", _LOG, _REAPER_LOG} <= search.looked.keys()
    assert search.found == set()
    wrong = Search(search.marks)
    wrong.folder(tenant.home)
    assert wrong.found, "it is in the ledger, so this search finds what there is"


def test_no_secret_is_in_a_notebook(service: RunpodService, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Cells, their errors, their widgets and what they leave on the disk, in a real kernel."""
    service.reset()
    home = tmp_path / "home"
    for name, value in environ_of(home, service, HF_TOKEN=_TOKEN).items():
        monkeypatch.setenv(name, value)
    home.mkdir()
    key_path = own_key_path(home)  # made before there is a kernel, so that every cell is searched for it
    marks = {"the API key": service.api_key, "a token of the environment": _TOKEN, **private_key_marks(key_path)}
    search = Search(marks, own=frozenset({str(key_path.relative_to(home))}))
    with search.watching(but=[here()]), start_kernel(home) as kernel:
        for code in ("%load_ext autopod_nb", "%autopod connect", "%autopod status", "%autopod gpus", "%autopod pods"):
            output = kernel.run(code)
            assert output.ok, (code, output.text, output.error)
            _search_cell(search, code, output)
        kernel.until(lambda: kernel.shows("● ready"))
        service.set(key_revoked=True)
        output = kernel.run("%autopod gpus")
        assert not output.ok
        _search_cell(search, "a cell that fails", output)
        service.set(key_revoked=False)
        for code in ("%autopod doctor", "%autopod kill --yes", "import autopod_nb; autopod_nb.close_session()"):
            _search_cell(search, code, kernel.run(code))
        search.text("a widget", kernel.widgets)
    end_processes_of(home, service)
    search.folder(home)
    shown = {"the cell a cell that fails", "a widget", "a command line"}
    assert shown | {_LOG, _REAPER_LOG, LEDGER_NAME} <= search.looked.keys()
    assert search.found == set()


def _search_cell(search: Search, code: str, output: Output) -> None:
    search.text(f"the cell {code}", output.text, output.error, output.displays, output.result)


@pytest.mark.parametrize("place", ["file", "name", "text", "repr", "command line"])
def test_the_search_finds_what_there_is(tmp_path: Path, place: str) -> None:
    """The control: a mark in each place where the others look."""
    search = Search({"planted": _TOKEN})
    if place == "file":
        (tmp_path / "ledger.db").write_bytes(b"\0\1" + _TOKEN.encode() + b"\0")
        search.folder(tmp_path)
    elif place == "name":
        (tmp_path / _TOKEN).write_bytes(b"")
        search.folder(tmp_path)
    elif place == "text":
        search.text("an error", AutopodError(f"401 for {_TOKEN}"))
    elif place == "repr":
        search.text("a repr", {"key": _TOKEN})
    else:
        with search.watching(but=[here()]):
            child = subprocess.Popen([sys.executable, "-S", "-c", "input()", _TOKEN], stdin=subprocess.PIPE)
            while not search.found and child.poll() is None:
                search.command_lines(but=[here()])
            child.communicate(b"\n")
    assert {each.mark for each in search.found} == {"planted"}
    assert search.found <= {Find("planted", each.place) for each in search.found}
