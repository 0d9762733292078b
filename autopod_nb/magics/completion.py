"""Completion of ``%autopod`` and ``%%comfyjob`` lines in IPython's completer."""

from __future__ import annotations

import re
from typing import Any

from IPython.core.completer import CompletionContext, SimpleCompletion, context_matcher

_LINE = re.compile(r"\s*(?:\w+\s*=\s*)?(%autopod|%%comfyjob)\s+(.*)$", re.DOTALL)


@context_matcher(identifier="autopod")  # type: ignore[untyped-decorator]  # IPython is half typed
def complete(context: CompletionContext) -> dict[str, Any]:
    """What may stand at the cursor of a line of ours; nothing for other lines."""
    found = _LINE.match(context.line_with_cursor[: context.cursor_position])
    if found is None:
        return {"completions": []}
    from autopod_nb.magics.candidates import candidates  # noqa: PLC0415 - keeps %load_ext quick

    *before, fragment = re.split(r"\s+", found[2])
    words = candidates(found[1], before, fragment)
    fitting = [SimpleCompletion(word, type="keyword") for word in words or () if word.startswith(fragment)]
    return {"completions": fitting, "matched_fragment": fragment, "suppress": words is not None}
