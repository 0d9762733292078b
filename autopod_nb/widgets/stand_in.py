"""What a notebook in JupyterLab shows in the place of a live panel whose kernel is gone.

JupyterLab draws a widget's view or, where its model is gone, an error; the HTML form beside it in the same output is
for front ends without widgets. So the same HTML goes into an output of its own next to the panel's, hidden. Its style
shows it and hides the error, for JupyterLab marks a view that cannot be drawn with a class of its own. Where a panel
lives, and in every other front end, it stays hidden.
"""

from __future__ import annotations

from typing import Any

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


def stand_in(html: str) -> dict[str, Any]:
    """An output to be shown directly before or behind a live panel's, by media type.

    Args:
        html: what stands there when the panel cannot; empty for nothing, when the panel needs none any more.
    """
    if not html:
        return {"text/plain": "", "text/html": f"<style>{_OURS}{{display:none}}</style>{_hidden('')}"}
    return {"text/plain": "", "text/html": f"<style>{_STYLE}</style>{_hidden(html)}"}


def _hidden(html: str) -> str:
    return f'<div class="{_CLASS}" hidden>{html}</div>'
