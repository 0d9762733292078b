"""A person's mistake, and what went wrong outside, on one line instead of a traceback; the cell fails all the same."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TypeVar

from IPython.core.error import UsageError

from autopod_nb.errors import AutopodError, InputError, InternalError
from autopod_nb.session.glance import other_pods_that_may_bill
from autopod_nb.widgets.render import still_bills

_Error = TypeVar("_Error", bound=BaseException)


def on_one_line(error: _Error) -> _Error:
    """The same error, which IPython will show as one line. Type and attributes stay, so that it can be caught."""
    error._render_traceback_ = lambda: [f"{type(error).__name__}: {error}"]  # type: ignore[attr-defined]  # IPython's hook
    return error


@contextmanager
def one_line() -> Iterator[None]:
    """Let errors of ours, and an interrupt, leave as one line.

    Our own mistakes keep their traceback: it belongs into a report.
    """
    try:
        yield
    except InputError as error:
        raise UsageError(str(error)) from error
    except InternalError:
        raise
    except (AutopodError, TimeoutError) as error:
        raise on_one_line(error)  # noqa: B904 - it is the same error
    except KeyboardInterrupt:
        raise on_one_line(KeyboardInterrupt(_after_interrupt())) from None


def _after_interrupt() -> str:
    """What goes on although nobody waits any more."""
    build = sys.modules.get("autopod_nb.session.build")
    session = build.current_session() if build is not None else None
    bills = "" if session is None else still_bills(session.snapshot)
    try:
        others = other_pods_that_may_bill()
    except AutopodError as error:
        return f"{bills} {error}".strip()
    if others:
        names = ", ".join(others)
        bills = f"{bills} Of other processes {names} may bill: `%autopod pods` shows what is whose.".strip()
    return f"The work goes on. {bills}" if bills else "Nothing is being paid for."
