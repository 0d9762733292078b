"""The magic ``%%comfyjob TEMPLATE …``."""

from __future__ import annotations

from IPython.core.magic import Magics, cell_magic, magics_class, no_var_expand


@magics_class
class ComfyjobMagics(Magics):
    """One job from one cell."""

    @no_var_expand  # or `$5` would become `5`
    @cell_magic
    def comfyjob(self, line: str, cell: str) -> object:
        """Run a workflow template, filled from the body of the cell: one job, or those of a sweep.

        A cell to begin with::

            %%comfyjob img2vid-basic --max-cost 0.50 -o clip
            inputs:
              image: portrait.jpg
            params:
              width: 512
            sweep:
              seed: [1, 2, 3]

        `sweep` makes a job of each value; leave it out for one job. A value `$name` is the variable
        `name` of the notebook. The cell returns at once, its panel lives on, and `clip` is the handle.

        The five commands that matter::

            %autopod templates               what there is to run, and what each takes and gives
            %autopod connect                 rent a pod first; without one, the job rents its own
            %%comfyjob TEMPLATE --dry-run    what would be done and what it costs; makes nothing
            %%comfyjob TEMPLATE --wait       block until it is over
            %autopod cancel JOB              end a job

        `%autopod help comfyjob` explains all options.
        """
        from autopod_nb.magics.command import run_cell  # noqa: PLC0415 - keeps %load_ext quick

        return run_cell(line, cell, self.shell.user_ns if self.shell is not None else {})
