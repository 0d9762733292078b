"""What a command is: its name, its options, an example of each. The table of them is in ``verbs.py``."""

from __future__ import annotations

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
    GPUS = "GPUs"
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
