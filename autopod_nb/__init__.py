"""Render with ComfyUI on rented GPUs from a notebook, and pay only for the seconds that render.

In a notebook: ``%load_ext autopod_nb``, then ``%autopod help``. In Python::

    import autopod_nb

    session = autopod_nb.open_session()
    job = session.submit(autopod_nb.make_spec("img2vid-basic", inputs={"image": "portrait.jpg"}))
    print(job.wait().outputs)

Importing this touches no network, disk or thread, and nothing heavy: each name is loaded when it is first used.
"""

from __future__ import annotations

import importlib
import logging
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from autopod_nb.errors import AutopodError
    from autopod_nb.jobs.spec import make_jobs, make_spec, read_job_file, read_jobs
    from autopod_nb.models.job import JobSpec
    from autopod_nb.session.build import close_session, current_session, open_session
    from autopod_nb.session.handle import Job
    from autopod_nb.session.manager import Session

    __version__: str

__all__ = [
    "AutopodError",
    "Job",
    "JobSpec",
    "Session",
    "__version__",
    "close_session",
    "current_session",
    "load_ipython_extension",
    "make_jobs",
    "make_spec",
    "open_session",
    "read_job_file",
    "read_jobs",
    "unload_ipython_extension",
]

# Without an open log file Python would print our warnings, and those of paramiko below us, into whatever cell runs.
logging.getLogger(__name__).addHandler(logging.NullHandler())

_HOMES = {
    "AutopodError": "autopod_nb.errors",
    "Job": "autopod_nb.session.handle",
    "JobSpec": "autopod_nb.models.job",
    "Session": "autopod_nb.session.manager",
    "close_session": "autopod_nb.session.build",
    "current_session": "autopod_nb.session.build",
    "make_jobs": "autopod_nb.jobs.spec",
    "make_spec": "autopod_nb.jobs.spec",
    "open_session": "autopod_nb.session.build",
    "read_job_file": "autopod_nb.jobs.spec",
    "read_jobs": "autopod_nb.jobs.spec",
}


def __getattr__(name: str) -> Any:
    if name == "__version__":
        return importlib.import_module("importlib.metadata").version("autopod-nb")
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(importlib.import_module(_HOMES[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})


def load_ipython_extension(shell: Any) -> None:
    """Called by ``%load_ext autopod_nb``: registers ``%autopod`` and ``%%comfyjob``; no network, no thread."""
    from autopod_nb.magics.extension import load  # noqa: PLC0415 - importing the package must not import IPython

    load(shell)


def unload_ipython_extension(shell: Any) -> None:
    """Called by ``%unload_ext autopod_nb``: takes back what was registered. A session goes on."""
    from autopod_nb.magics.extension import unload  # noqa: PLC0415 - as above

    unload(shell)
