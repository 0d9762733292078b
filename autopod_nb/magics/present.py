"""From what a verb brought to what its cell shows and is worth."""

from __future__ import annotations

from collections.abc import MutableMapping
from typing import Any

from IPython.display import display

from autopod_nb.magics.actions import raise_failures
from autopod_nb.magics.adoption import Adopted
from autopod_nb.magics.export import Exported
from autopod_nb.magics.gui import Gui
from autopod_nb.magics.logs import Followed, print_following
from autopod_nb.magics.shown import LiveOutput, in_kernel, session_bundle, widget_bundle, widgets_work
from autopod_nb.magics.starting import Started
from autopod_nb.magics.waiting import follow, say


def present(value: object, variables: MutableMapping[str, Any]) -> object:
    """Show what a verb brought.

    Args:
        value: jobs that were started, pods that were taken over, or anything that shows itself.
        variables: the notebook's, for ``-o``.

    Returns:
        What the cell is worth: the value itself, or the handle of the jobs unless it went into a variable.

    Raises:
        JobFailed: with ``--wait``, when a job did not end well.
        KeyboardInterrupt: with ``--wait``.
    """
    if isinstance(value, Adopted):
        _show_adopted(value)
        return None
    if isinstance(value, Followed):
        _show_followed(value)
        return None
    if isinstance(value, Gui):
        return _show_gui(value)
    if isinstance(value, Exported):
        return _show_exported(value, variables)
    return _show_started(value, variables) if isinstance(value, Started) else value


def _show_started(started: Started, variables: MutableMapping[str, Any]) -> object:
    if started.variable is not None:
        variables[started.variable] = started.handle
    output = LiveOutput(started.handle)
    output.show()
    if started.wait:
        follow(started.session, started.job_ids)
        output.close()
        raise_failures(started.session.snapshot, started.job_ids)
    return None if started.variable is not None or started.wait else started.handle


def _show_adopted(adopted: Adopted) -> None:
    """What came back as lines, then the panels."""
    for line in adopted.lines:
        say(line)
    if in_kernel():
        display(session_bundle(adopted.session), raw=True)  # type: ignore[no-untyped-call]  # IPython is half typed
        for job in adopted.jobs:
            LiveOutput(job).show()


def _show_followed(followed: Followed) -> None:
    """A live view where widgets work, else lines as they come."""
    if widgets_work():
        from autopod_nb.widgets.log_panel import LogPanel  # noqa: PLC0415 - ipywidgets is imported with it

        panel = LogPanel(followed.feed, followed.name, pattern=followed.pattern)
        display(widget_bundle(panel.show()), raw=True)  # type: ignore[no-untyped-call]  # IPython is half typed
    else:
        print_following(followed, say)


def _show_gui(gui: Gui) -> object:
    """A frame where widgets work, else the ways in words."""
    if not widgets_work():
        return gui.page
    from autopod_nb.widgets.gui_panel import GuiPanel  # noqa: PLC0415 - ipywidgets is imported with it

    panel = GuiPanel(gui.session, gui.pod_id, (gui.page.text, gui.page.html))
    display(widget_bundle(panel.show()), raw=True)  # type: ignore[no-untyped-call]  # IPython is half typed
    return None


def _show_exported(exported: Exported, variables: MutableMapping[str, Any]) -> object:
    if exported.variable is not None:
        variables[exported.variable] = exported.frame
    return exported.text or None
