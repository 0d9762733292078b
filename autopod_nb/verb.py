"""What a command is: its name, its options, an example of each. The table of them is in ``verbs.py``."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import KW_ONLY, dataclass
from enum import Enum


class Kind(Enum):
    """What an option's value is."""

    TEXT = "text"
    FLAG = "flag"
    USD = "an amount of dollars above zero, such as 0.50"
    MINUTES = "a number of minutes above zero"
    SECONDS = "a number of seconds above zero"
    COUNT = "a whole number above zero"
    VARIABLE = "the name of a variable"


class Offers(Enum):
    """What completion offers as a value."""

    NOTHING = "nothing"
    VERBS = "verbs"
    PODS = "pods"
    JOBS = "jobs"
    ALL_JOBS = "all jobs"
    GPUS = "GPUs"
    CLOUDS = "clouds"
    COST_GROUPS = "what costs are summed by"
    PROVIDERS = "providers"
    TEMPLATES = "templates"
    FILES = "files"
    FORMATS = "formats"
    CONFIG_ACTIONS = "what config can do"
    SETTINGS = "settings"


@dataclass(frozen=True, slots=True)
class Option:
    """One option or argument of a command.

    Attributes:
        name: ``--gpu``, ``-o``, or in capitals an argument without a name: ``POD``.
        help: one line.
        kind: what its value is.
        metavar: how the value is called in the usage line; unused for flags and arguments without a name.
        nargs: ``1``, ``?`` (may be left out), ``*`` (any number) or ``+`` (one or more).
        required: it may not be left out.
        offers: what completion offers.
        example: a whole line that works.
        dest: name of the attribute that holds the value; made from *name* if empty.
    """

    name: str
    help: str
    _: KW_ONLY
    kind: Kind = Kind.TEXT
    metavar: str = ""
    nargs: str = "1"
    required: bool = False
    offers: Offers = Offers.NOTHING
    example: str
    dest: str = ""

    @property
    def positional(self) -> bool:
        """Whether it stands without a name."""
        return not self.name.startswith("-")

    @property
    def attribute(self) -> str:
        """Name of the attribute in the parsed arguments."""
        return self.dest or self.name.lstrip("-").lower().replace("-", "_")

    @property
    def label(self) -> str:
        """Name and value: ``--gpu NAME``, ``POD``."""
        dots = "…" if self.nargs in "*+" else ""
        if self.positional:
            return self.name + dots
        return self.name if self.kind is Kind.FLAG else f"{self.name} {self.metavar}{dots}"

    @property
    def usage(self) -> str:
        """As the usage line shows it: ``[--gpu NAME]``."""
        needed = self.nargs in "1+" if self.positional else self.required
        return self.label if needed else f"[{self.label}]"


@dataclass(frozen=True, slots=True, kw_only=True)
class Verb:
    """One command.

    Attributes:
        name: the word itself.
        summary: one sentence.
        options: in the order of the usage line.
        example: a whole line that works.
        prefix: what stands before the name where it is typed.
    """

    name: str
    summary: str
    options: tuple[Option, ...] = ()
    example: str
    prefix: str = "%autopod "

    @property
    def command(self) -> str:
        """As it is typed: ``%autopod connect`` or ``%%comfyjob``."""
        return self.prefix + self.name

    @property
    def usage(self) -> str:
        """The usage line."""
        return " ".join((self.command, *(option.usage for option in self.options)))


# --- options that several commands share ---------------------------------------------------------------------------

DRY_RUN = "show what would be done and what it costs; make nothing"
"""Help of ``--dry-run``."""


def job_limits(command: str) -> tuple[Option, ...]:
    """Options of whoever starts jobs; *command* is how its examples begin."""
    return (
        Option("--max-cost", "limit of the job; it ends there", kind=Kind.USD, metavar="USD",
               example=f"{command} --max-cost 0.50"),
        Option("--timeout", "the job ends after this long on a pod", kind=Kind.MINUTES, metavar="MIN",
               example=f"{command} --timeout 15"),
        Option("--pod", "run on this pod", metavar="POD", offers=Offers.PODS, example=f"{command} --pod 3fa2c1"),
        Option("--dry-run", DRY_RUN, kind=Kind.FLAG, example=f"{command} --dry-run"),
        wait(command),
        Option("--stop-on-error", "when one of several jobs fails, cancel the others", kind=Kind.FLAG,
               example=f"{command} --stop-on-error"),
        Option("-o", "put the handle of the job, or of all, into this variable", kind=Kind.VARIABLE, metavar="VAR",
               dest="variable", example=f"{command} -o clip"),
    )  # fmt: skip


def fleet(command: str) -> tuple[Option, ...]:
    """Options of whoever may have many pods."""
    return (
        Option("--max-pods", "as many pods at most, each rented when it pays and ended when it does not",
               kind=Kind.COUNT, metavar="N", example=f"{command} --max-pods 3"),
        Option("--auto", "the same, as many as pay and need no --yes", kind=Kind.FLAG, example=f"{command} --auto"),
        Option("--fastest", "done as soon as --budget allows, instead of as cheaply as can be", kind=Kind.FLAG,
               example=f"{command} --max-pods 3 --fastest --budget 1"),
        Option("--budget", "all of those pods together may cost that from now on", kind=Kind.USD, metavar="USD",
               example=f"{command} --max-pods 3 --budget 0.50"),
        Option("--within", "done after so long, as cheaply as that can be", kind=Kind.MINUTES, metavar="MIN",
               example=f"{command} --max-pods 3 --within 30"),
    )  # fmt: skip


def market(command: str) -> tuple[Option, ...]:
    """Which offers are meant: the same for whoever rents one and for whoever looks."""
    return (
        Option("--gpu-count", "GPUs in the pod", kind=Kind.COUNT, metavar="N", example=f"{command} --gpu-count 2"),
        Option("--min-vram", "memory that each GPU must have", kind=Kind.COUNT, metavar="GB",
               example=f"{command} --min-vram 48"),
        Option("--cloud", "secure or community, where the provider has both", metavar="CLOUD", offers=Offers.CLOUDS,
               example=f"{command} --cloud secure"),
        Option("--region", "a place in the provider's words, or the beginning of one", metavar="PLACE",
               example=f"{command} --region EU"),
        Option("--cuda", "oldest CUDA version that the machine must run", metavar="VERSION",
               example=f"{command} --cuda 12.8"),
        Option("--max-price", "nothing that costs more an hour", kind=Kind.USD, metavar="USD",
               example=f"{command} --max-price 0.50"),
        Option("--spot", "at the lower price at which the pod may be taken away", kind=Kind.FLAG,
               example=f"{command} --spot"),
        Option("--network-volume", "where this network volume is, which is mounted then", metavar="ID",
               example=f"{command} --network-volume agv6w2qcg7"),
    )  # fmt: skip


def as_json(command: str) -> Option:
    """The option for other tools."""
    return Option("--json", "as JSON, for other tools", kind=Kind.FLAG, example=f"{command} --json")


def wait(command: str) -> Option:
    """The option of whoever starts one job, or some."""
    text = "block until it is over, with progress; an interrupt gives the prompt back"
    return Option("--wait", text, kind=Kind.FLAG, example=f"{command} --wait")


def yes(command: str, what: str) -> Option:
    """The option of whoever would ask first."""
    text = f"do it without being asked again: {what}"
    return Option("--yes", text, kind=Kind.FLAG, example=f"{command} --yes")


def one_pod(command: str, text: str = "which one, if there are several") -> Option:
    """The argument that names a pod."""
    return Option("POD", text, nargs="?", offers=Offers.PODS, example=f"{command} 3fa2c1")


# --- help ----------------------------------------------------------------------------------------------------------


def help_of(verb: Verb) -> str:
    """Help for one command."""
    rows = [(option.label, option.help) for option in verb.options]
    return "\n".join(
        [verb.usage, "", verb.summary, *([""] if rows else []), *help_columns(rows), "", f"Example: {verb.example}"]
    )


def help_columns(rows: Sequence[tuple[str, str]]) -> list[str]:
    """Words on the left, what they mean on the right."""
    width = max((len(left) for left, _ in rows), default=0)
    return [f"  {left:<{width}}  {right}" for left, right in rows]


def markdown_of(verbs: Iterable[Verb]) -> str:
    """A table of commands and their options, with an example of each."""
    lines = ["| command | what it does | example |", "|---|---|---|"]
    for verb in verbs:
        lines.append(f"| **`{verb.command}`** | {verb.summary} | `{verb.example}` |")
        lines += [f"| `{option.label}` | {option.help} | `{option.example}` |" for option in verb.options]
    return "\n".join(lines)
