"""What ``%load_ext autopod_nb`` registers, and ``%unload_ext`` takes back. Imports IPython and the standard library."""

from __future__ import annotations

import sys
from typing import Any

from IPython.core.interactiveshell import InteractiveShell

from autopod_nb.magics.autopod import AutopodMagics
from autopod_nb.magics.comfyjob import ComfyjobMagics
from autopod_nb.magics.completion import complete

_MAGICS = (("line", "autopod"), ("cell", "comfyjob"))
_HANDLES = (
    ("autopod_nb.session.handle", "Job"),
    ("autopod_nb.session.handle", "Batch"),
    ("autopod_nb.session.manager", "Session"),
)
_HISTORY = ("autopod_nb.session.frame", "HistoryFrame")  # by name, for it is pandas' own kind of class


def load(shell: InteractiveShell) -> None:
    """Register the magics, completion, and how handles are shown; say in one line what may bill. Safe to repeat."""
    unload(shell)
    shell.register_magics(AutopodMagics, ComfyjobMagics)
    if shell.Completer is not None:
        shell.Completer.custom_matchers.append(complete)
    if shell.display_formatter is not None:
        formatter = shell.display_formatter.mimebundle_formatter
        for module, name in _HANDLES:
            formatter.for_type_by_name(module, name, _bundle)
        formatter.for_type_by_name(*_HISTORY, _history_bundle)
    if line := _what_may_bill():
        sys.stdout.write(line + "\n")


def _what_may_bill() -> str:
    """A line about pods that an earlier kernel left, empty if there are none. Only reads the ledger."""
    from autopod_nb.errors import AutopodError  # noqa: PLC0415 - keeps the import of this module quick
    from autopod_nb.session.glance import other_pods_that_may_bill  # noqa: PLC0415 - the same

    try:
        count = len(other_pods_that_may_bill())
    except AutopodError as error:  # the magics are there all the same
        return str(error)
    if not count:
        return ""
    return (
        f"{count} pod{'s' if count > 1 else ''} may bill: `%autopod adopt` takes {'them' if count > 1 else 'it'} over, "
        f"`%autopod pods` shows {'them' if count > 1 else 'it'}."
    )


def unload(shell: InteractiveShell) -> None:
    """Take back what :func:`load` registered; what is not there is no error."""
    for kind, name in _MAGICS:
        shell.magics_manager.magics[kind].pop(name, None)
    if shell.Completer is not None:
        shell.Completer.custom_matchers[:] = [
            known for known in shell.Completer.custom_matchers if known is not complete
        ]
    if shell.display_formatter is not None:
        for module, name in (*_HANDLES, _HISTORY):
            shell.display_formatter.mimebundle_formatter.pop(f"{module}.{name}", None)


def _bundle(handle: Any) -> dict[str, Any]:
    """A handle by media type; called by IPython's formatter."""
    from autopod_nb.magics.shown import bundle_of  # noqa: PLC0415 - keeps %load_ext quick

    return bundle_of(handle)


def _history_bundle(frame: Any) -> dict[str, Any] | None:
    """A history with its filters where widgets work; None lets the frame show itself."""
    from autopod_nb.magics.shown import widget_bundle, widgets_work  # noqa: PLC0415 - keeps %load_ext quick

    if not widgets_work() or frame.empty or not frame.is_history:
        return None
    from autopod_nb.widgets.history_panel import HistoryPanel  # noqa: PLC0415 - ipywidgets is imported with it

    return widget_bundle(HistoryPanel(frame).root)
