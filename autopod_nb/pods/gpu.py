"""How busy a pod's GPUs are, by ``nvidia-smi`` over SSH."""

from __future__ import annotations

from autopod_nb.models.snapshot import GpuUse
from autopod_nb.ssh.connection import SshConnection

# a bare environment: images keep it in one of these
_COMMAND = (
    'PATH="$PATH:/usr/local/nvidia/bin:/usr/local/cuda/bin:$HOME/.local/bin" nvidia-smi'
    " --query-gpu=utilization.gpu,memory.used,memory.total --format=csv,noheader,nounits"
)
_WITHIN_S = 10.0
_NO_SUCH_COMMAND = 127


def read_gpu_use(connection: SshConnection) -> GpuUse | None:
    """Ask the pod.

    Returns:
        Use over all its GPUs; None if it has no ``nvidia-smi``, or none that works.

    Raises:
        SshError: the line is lost, or the pod does not answer.
    """
    done = connection.run(_COMMAND, _WITHIN_S)
    return parse_gpu_use(done.stdout.decode(errors="replace")) if done.exit_status == 0 else None


def parse_gpu_use(text: str) -> GpuUse | None:
    """Read the lines ``percent, used MiB, total MiB``, one a GPU; what it cannot tell stands as ``[N/A]``."""
    rows = [[_number(cell) for cell in line.split(",")] for line in text.splitlines() if line.count(",") == 2]
    whole = [(percent, used, total) for percent, used, total in rows if used is not None and total is not None]
    if not whole:
        return None
    known = [percent for percent, _, _ in whole if percent is not None]
    return GpuUse(
        percent=sum(known) / len(known) if known else None,
        memory_used_gb=round(sum(used for _, used, _ in whole) / 1024, 2),
        memory_total_gb=round(sum(total for _, _, total in whole) / 1024, 2),
    )


def _number(cell: str) -> float | None:
    try:
        return float(cell)
    except ValueError:
        return None
