"""A JupyterLab, a browser, and notebooks in it.

A test asks for ``nb`` and opens notebooks with it: ``page = nb("%load_ext autopod_nb", "%autopod status")``. It may
choose kernels with ``@pytest.mark.parametrize("ipykernel", BOTH)``, and where the server answers with
``@pytest.mark.parametrize("base_url", ["/user/joe/"])``.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from playwright.sync_api import Browser

from tests.browser.chromium import NO_CHROMIUM, a_browser, find_chromium
from tests.browser.lab import Lab, ipykernel_folder
from tests.browser.opened import Opener
from tests.fakes.service import RunpodService


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """All tests of this folder need a browser."""
    for item in items:
        if item.path.is_relative_to(Path(__file__).parent):
            item.add_marker(pytest.mark.browser)


@pytest.fixture(scope="session")
def chromium() -> str:
    """The program; without one every test here is left out."""
    found = find_chromium()
    if found is None:
        pytest.skip(NO_CHROMIUM)
    return found


@pytest.fixture(scope="module")
def browser(chromium: str) -> Iterator[Browser]:
    """Of a module and not of the run: Playwright's event loop runs in this thread meanwhile, which others mind."""
    with a_browser(chromium) as browser:
        yield browser


@pytest.fixture(scope="session")
def labs(chromium: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[str], Lab]]:
    """Servers that live as long as the run, one a base URL, each started when it is first wanted."""
    started: dict[str, Lab] = {}
    with ExitStack() as stack:

        def lab(base_url: str) -> Lab:
            if base_url not in started:
                started[base_url] = Lab(tmp_path_factory.mktemp("lab"), base_url)
                stack.callback(started[base_url].close)
            return started[base_url]

        yield lab


@pytest.fixture
def base_url() -> str:
    """Where JupyterLab answers, unless a test says so itself."""
    return "/"


@pytest.fixture
def ipykernel() -> str:
    """The version of the kernels, unless a test says so itself."""
    return "7.4"


@pytest.fixture
def lab(labs: Callable[[str], Lab], base_url: str) -> Lab:
    return labs(base_url)


_numbers = itertools.count(1)


@pytest.fixture
def nb(lab: Lab, browser: Browser, ipykernel: str) -> Iterator[Opener]:
    """Opens notebooks, whose kernels share an ``AUTOPOD_HOME``; in the end nothing of them is left."""
    if not ipykernel_folder(ipykernel).is_dir():
        pytest.skip(f"no ipykernel {ipykernel} for kernels: make test installs it")
    opener = Opener(lab, browser, version=ipykernel, name=f"t{next(_numbers)}")
    yield opener
    opener.close()


@pytest.fixture(scope="session")
def runpod(chromium: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunpodService]:
    """A made-up RunPod with pods that boot at once, by the clock of this machine."""
    folder = tmp_path_factory.mktemp("runpod") / "service"
    with RunpodService(folder, provision_s=0.1, pull_delay_s=0.3, start_delay_s=0.3) as service:
        yield service


@pytest.fixture
def rented(nb: Opener, runpod: RunpodService) -> RunpodService:
    """Kernels of ``nb`` rent there. Begun anew."""
    runpod.reset()
    nb.environ |= {"AUTOPOD_PROVIDER": "runpod", **runpod.environ()}
    return runpod
