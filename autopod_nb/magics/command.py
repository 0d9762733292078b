"""One line or one cell, from text to what it is worth. Imported at the first use of a magic, not at ``%load_ext``."""

from __future__ import annotations

import sys
from collections.abc import MutableMapping
from typing import Any

from IPython.display import display

from autopod_nb.magics.actions import help_page, run_verb
from autopod_nb.magics.one_line import one_line
from autopod_nb.magics.parser import parse_line, parse_options, split_line
from autopod_nb.magics.present import present
from autopod_nb.magics.shown import in_kernel
from autopod_nb.magics.starting import comfyjob
from autopod_nb.verb import Verb
from autopod_nb.verbs import CELL


def run_line(line: str, variables: MutableMapping[str, Any]) -> object:
    """What stands after ``%autopod``.

    Args:
        line: verb and options.
        variables: the notebook's; ``-o`` writes into them.

    Returns:
        What the verb brought; None after ``--help``.

    Raises:
        IPython.core.error.UsageError: a mistake in the line or in a job.
        AutopodError: what went wrong outside; IPython shows it as one line.
    """
    with one_line():
        parsed = parse_line(split_line(line))
        if parsed.wants_help:
            return _help(parsed.verb)
        return present(run_verb(parsed), variables)


def run_cell(line: str, body: str, variables: MutableMapping[str, Any]) -> object:
    """A whole ``%%comfyjob`` cell: what stands after the magic, and the lines below. As :func:`run_line`."""
    with one_line():
        parsed = parse_options(CELL, split_line(line))
        if parsed.wants_help:
            return _help(CELL)
        return present(comfyjob(parsed.args, body, variables), variables)


def _help(verb: Verb) -> object:
    page = help_page(verb)
    if in_kernel():
        display(page)  # type: ignore[no-untyped-call]  # IPython is half typed
    else:
        sys.stdout.write(f"{page}\n")
    return None
