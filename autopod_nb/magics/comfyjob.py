"""The magic ``%%comfyjob TEMPLATE …``."""

from __future__ import annotations

from IPython.core.magic import Magics, cell_magic, magics_class, no_var_expand


@magics_class
class ComfyjobMagics(Magics):
    """One job from one cell."""

    @no_var_expand  # or `$5` would become `5`
    @cell_magic
    def comfyjob(self, line: str, cell: str) -> object:
        """Run a workflow template with the inputs, params and outputs in the cell's body: `%%comfyjob --help`."""
        from autopod_nb.magics.command import run_cell  # noqa: PLC0415 - keeps %load_ext quick

        return run_cell(line, cell, self.shell.user_ns if self.shell is not None else {})
