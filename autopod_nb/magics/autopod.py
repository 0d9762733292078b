"""The magic ``%autopod VERB …``."""

from __future__ import annotations

from IPython.core.magic import Magics, line_magic, magics_class, no_var_expand


@magics_class
class AutopodMagics(Magics):
    """Pods, jobs and what they cost."""

    @no_var_expand  # or `$5` would become `5`
    @line_magic
    def autopod(self, line: str) -> object:
        """Rent pods, run jobs on them, see what they cost, end them: `%autopod help`."""
        from autopod_nb.magics.command import run_line  # noqa: PLC0415 - keeps %load_ext quick

        return run_line(line, self.shell.user_ns if self.shell is not None else {})
