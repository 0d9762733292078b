"""What a notebook in JupyterLab says in the place of a live panel whose kernel is gone.

JupyterLab draws a widget's view or, where its model is gone, an error; the HTML form beside it in the same output is
for front ends without widgets. So words go into an output of their own next to the panel's, hidden. Their style shows
them and hides the error, for JupyterLab marks a view that cannot be drawn with a class of its own. Where a panel lives,
and in every other front end, they stay hidden.
"""

from __future__ import annotations

from typing import Any

from autopod_nb.widgets import card

_WORDS = (
    "The kernel of this panel is gone. `%load_ext autopod_nb`, then `%autopod adopt` takes over pods that still run; "
    "`%autopod panel` shows a live panel, `%autopod history` what was made."
)
_CLASS = "autopod-stand-in"
_ROW = ".jp-OutputArea-child"
_ERROR = f"{_ROW} > .jp-OutputArea-output.jupyter-widgets"
_OURS, _FAILED = f"{_ROW}:has(.{_CLASS})", f"{_ROW}:has(> .jp-OutputArea-output.jupyter-widgets)"
_NEXT_TO_ERROR = (f"{_OURS}:has(+ {_ERROR})", f"{_FAILED} + {_OURS}")
_STYLE = (
    f"{_OURS}{{display:none}}"
    f"{','.join(_NEXT_TO_ERROR)}{{display:flex}}"
    f"{','.join(f'{each} .{_CLASS}' for each in _NEXT_TO_ERROR)}{{display:block}}"
    f"{_OURS} + {_FAILED},{_FAILED}:has(+ {_ROW} .{_CLASS}){{display:none}}"
)


def stand_in(*, needed: bool = True) -> dict[str, Any]:
    """An output to be shown directly before or behind a live panel's, by media type.

    Args:
        needed: False when a card without widgets has taken the panel's place: then it says nothing anywhere.
    """
    words = card.text_line(_WORDS, card.QUIET) if needed else ""
    html = f'<style>{_STYLE}</style><div class="{_CLASS}" hidden>{words}</div>'
    return {"text/plain": "", "text/html": html}
