"""Every error that autopod_nb raises on purpose.

::

    AutopodError
    ├── InputError                 you: what was typed, written or passed; nothing was made, uploaded or charged
    │   ├── UsageError             an option, a verb, a value on a command line
    │   ├── JobSpecError           a job file or the body of a cell
    │   ├── TemplateError          a workflow template
    │   └── ConfigError            a setting
    ├── ProviderError              the one who rents out pods
    │   ├── NoCapacity             nothing of that kind to be had now
    │   ├── AuthFailed             key missing or refused
    │   ├── LowBalance             the account has too little money
    │   ├── RateLimited            asked too often
    │   ├── Uncertain              the answer was lost: it may have been done
    │   └── Gone                   no such pod any more
    ├── PodError                   the pod, its SSH server or its ComfyUI
    │   ├── BootFailed             never became usable
    │   ├── SshError               connection, key or tunnel
    │   ├── TransferError          a file did not arrive whole
    │   ├── ComfyError             ComfyUI gave an answer that is no good
    │   │   ├── PromptRefused      ComfyUI refused the workflow
    │   │   └── AnswerLost         no answer, or the line broke: it may have been done
    │   └── JobFailed              the workflow ran and ended in an error
    ├── LimitReached               a limit of yours forbids it
    └── InternalError              us
        ├── IllegalTransition      a state machine was asked for a step that it does not have
        └── LedgerError            the ledger cannot be read or written
            └── LedgerRefused      a record does not fit what the ledger holds, and never will

A message is one line: what is wrong, where, and the fix. An error that leaves something which may bill carries
``pod_id`` and says how to stop it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from difflib import get_close_matches

_REASON_LENGTH = 200  # characters


class AutopodError(Exception):
    """The root. ``str(error)`` is one line for a person; ``pod_id`` names what may still bill."""

    def __init__(self, message: str, *, pod_id: str | None = None) -> None:
        self.pod_id = pod_id
        if pod_id is not None and f"kill {pod_id}" not in message:
            message = f"{message} Pod {pod_id} may still bill: `%autopod kill {pod_id}` ends it."
        super().__init__(" ".join(message.split()))


class InputError(AutopodError):
    """What you typed, wrote or passed is wrong; nothing was made, uploaded or charged."""


class UsageError(InputError):
    """A verb, an option or a value on a command line."""


class JobSpecError(InputError):
    """A job file, or the body of a cell.

    Args:
        message: what is wrong and the fix.
        source: file name or ``cell``, if known.
        line: line number from 1, if known.
        key: dotted path of the key, if known.
    """

    def __init__(
        self, message: str, *, source: str | None = None, line: int | None = None, key: str | None = None
    ) -> None:
        self.source, self.line, self.key = source, line, key
        where = ", ".join(part for part in (source, f"line {line}" if line else None, key) if part)
        super().__init__(f"{where}: {message}" if where else message)


class TemplateError(InputError):
    """A workflow template: missing, not in API format, or with a placeholder that cannot be filled."""


class ConfigError(InputError):
    """A setting that cannot be used."""


class ProviderError(AutopodError):
    """The provider refused or failed."""


class NoCapacity(ProviderError):
    """Nothing of that kind can be rented now."""


class AuthFailed(ProviderError):
    """The provider's key is missing or refused."""


class LowBalance(ProviderError):
    """The account has too little money left to rent that."""


class RateLimited(ProviderError):
    """The provider was asked too often; it says when to ask again.

    Args:
        message: one line for a person.
        retry_after_s: seconds to wait, if the provider told.
    """

    def __init__(self, message: str, *, retry_after_s: float | None = None) -> None:
        self.retry_after_s = retry_after_s
        super().__init__(message)


class Uncertain(ProviderError):
    """The answer was lost: the request may have been carried out. Look the pod up by its name."""


class Gone(ProviderError):
    """The provider knows no such pod (any more)."""


class PodError(AutopodError):
    """The pod, its SSH server or its ComfyUI."""


class BootFailed(PodError):
    """The pod never became usable."""


class SshError(PodError):
    """Connection, key or tunnel."""


class TransferError(PodError):
    """A file did not arrive whole."""


class ComfyError(PodError):
    """ComfyUI could not be reached, or gave an answer that is no good."""


class PromptRefused(ComfyError):
    """ComfyUI refused the workflow.

    Args:
        message: one line for a person.
        error_type: ComfyUI's ``error.type``, for example ``missing_node_type``.
        node_errors: node id → one line, as far as ComfyUI named nodes.
    """

    def __init__(self, message: str, *, error_type: str = "", node_errors: Mapping[str, str] | None = None) -> None:
        self.error_type = error_type
        self.node_errors = dict(node_errors or {})
        super().__init__(message)


class AnswerLost(ComfyError):
    """ComfyUI did not answer, or the line broke meanwhile: what it was asked for may have been done."""


class JobFailed(PodError):
    """The workflow ran and ended in an error."""


class LimitReached(AutopodError):
    """A limit that you set forbids it."""


class InternalError(AutopodError):
    """Our own mistake: please report it."""


class IllegalTransition(InternalError):
    """A state machine has no such step; nothing was changed."""


class LedgerError(InternalError):
    """The ledger cannot be read or written."""


class LedgerRefused(LedgerError):
    """A record does not fit what the ledger holds, and never will; the ledger itself is well."""


def nearest(word: str, choices: Iterable[str]) -> str:
    """A hint for a misspelt word: `` Did you mean X?`` or an empty string."""
    found = get_close_matches(word, list(choices), n=1, cutoff=0.6)
    return f" Did you mean {found[0]!r}?" if found else ""


def reason_of(error: BaseException) -> str:
    """The innermost of an error's causes, which says most, in one line: ``Connection refused``, ``timed out``."""
    seen = error
    while True:
        inner = seen.__cause__ or seen.__context__ or next((a for a in seen.args if isinstance(a, BaseException)), None)
        if inner is None:
            break
        seen = inner
    said = getattr(seen, "strerror", None) or str(seen) or type(seen).__name__
    return " ".join(str(said).split())[:_REASON_LENGTH].rstrip(".")
