"""A home of its own, IPython in this process, and a real kernel, each for one test module."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from IPython.core.interactiveshell import InteractiveShell
from traitlets.config import Config

from autopod_nb.log import close_log
from autopod_nb.session.build import close_session
from autopod_nb.widgets.pump import the_pump
from tests.magics.kernel import Kernel, start_kernel


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """``AUTOPOD_HOME`` in a new folder; the session that a test opens is closed in the end."""
    folder = tmp_path_factory.mktemp("home")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AUTOPOD_HOME", str(folder))
        patch.setenv("IPYTHONDIR", str(folder / "ipython"))
        yield folder
        close_session()
        close_log()
        assert the_pump().close()


@pytest.fixture(scope="module")
def shell(home: Path) -> Iterator[InteractiveShell]:
    """IPython in this process, with the extension loaded."""
    shell = InteractiveShell.instance(config=Config({"HistoryManager": {"enabled": False}}))
    shell.run_line_magic("load_ext", "autopod_nb")
    yield shell
    shell.run_line_magic("unload_ext", "autopod_nb")
    InteractiveShell.clear_instance()


@pytest.fixture(scope="module")
def kernel(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Kernel]:
    """A kernel with the extension loaded."""
    folder = tmp_path_factory.mktemp("kernel-home")
    with start_kernel(folder) as kernel:
        assert kernel.run("%load_ext autopod_nb").ok
        yield kernel
        kernel.run("import autopod_nb; autopod_nb.close_session()")
