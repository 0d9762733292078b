"""The magic ``%autopod VERB …``."""

from __future__ import annotations

from IPython.core.magic import Magics, line_magic, magics_class, no_var_expand


@magics_class
class AutopodMagics(Magics):
    """Pods, jobs and what they cost."""

    @no_var_expand  # or `$5` would become `5`
    @line_magic
    def autopod(self, line: str) -> object:
        """Rent pods, run jobs on them, see what they cost, end them.

        The five commands that matter::

            %autopod connect      rent a pod; it ends by itself when it has been idle
            %autopod panel        pods, jobs and money, live, with buttons
            %autopod stop         let a pod finish, fetch its results, end it
            %autopod kill         end a pod at once, whatever it does
            %autopod costs        what was spent

        A job is a cell of its own (`%%comfyjob?` says more)::

            %%comfyjob img2vid-basic
            inputs:
              image: portrait.jpg

        What a line brings can be kept: `table = %autopod history` is a DataFrame.
        `%autopod help` lists all commands, `%autopod help connect` explains one, and Tab completes
        commands, options, pods, jobs, templates and GPUs.
        """
        from autopod_nb.magics.command import run_line  # noqa: PLC0415 - keeps %load_ext quick

        return run_line(line, self.shell.user_ns if self.shell is not None else {})
