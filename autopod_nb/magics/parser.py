"""From the words of a command line to values, by the table in ``verbs.py``."""

from __future__ import annotations

import argparse
import shlex
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from typing import NoReturn

from autopod_nb.errors import UsageError, nearest
from autopod_nb.verb import Kind, Option, Verb
from autopod_nb.verbs import BY_NAME

_HELP_FLAGS = ("-h", "--help")
_LARGEST = Decimal(10) ** 9  # dollars, minutes, seconds: beyond this it is a slip of the hand


def _amount(text: str, kind: Kind) -> Decimal:
    try:
        value = Decimal(text.removeprefix("$") if kind is Kind.USD else text)
    except InvalidOperation:
        value = Decimal(0)
    if not value.is_finite() or not 0 < value <= _LARGEST:
        raise argparse.ArgumentTypeError(f"{text!r} is not {kind.value}")
    return value


def _count(text: str) -> int:
    value = int(text) if text.isascii() and text.isdigit() and len(text) < 7 else 0
    if value < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not {Kind.COUNT.value}")
    return value


def _variable(text: str) -> str:
    if not text.isidentifier():
        raise argparse.ArgumentTypeError(f"{text!r} is not {Kind.VARIABLE.value}")
    return text


def _text(text: str) -> str:
    if not text.strip():
        raise argparse.ArgumentTypeError("the value is empty")
    return text


def _converter(kind: Kind) -> Callable[[str], object]:
    if kind in (Kind.USD, Kind.MINUTES, Kind.SECONDS):
        return lambda text: _amount(text, kind)
    return {Kind.COUNT: _count, Kind.VARIABLE: _variable}.get(kind, _text)


class _Parser(argparse.ArgumentParser):
    """argparse, with one line instead of an exit."""

    def __init__(self, verb: Verb) -> None:
        super().__init__(prog=verb.command, add_help=False, allow_abbrev=False)
        for option in verb.options:
            _add(self, option)

    def error(self, message: str) -> NoReturn:
        what = message.removeprefix("argument ")
        raise UsageError(f"{self.prog}: {what}. `{self.prog} --help` explains it.")


def _add(parser: argparse.ArgumentParser, option: Option) -> None:
    if option.kind is Kind.FLAG:
        parser.add_argument(option.name, action="store_true", dest=option.attribute)
        return
    convert = _converter(option.kind)
    nargs = None if option.nargs == "1" else option.nargs
    if option.positional:
        parser.add_argument(option.attribute, metavar=option.name, nargs=nargs, type=convert)
        return
    parser.add_argument(
        option.name, metavar=option.metavar, nargs=nargs, type=convert, dest=option.attribute,
        required=option.required, action="store" if nargs is None else "extend",
    )  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Parsed:
    """A command line that was understood.

    Attributes:
        verb: which command.
        args: one attribute for each option; None where it was left out.
        wants_help: ``--help`` was among the words; *args* is empty then.
    """

    verb: Verb
    args: argparse.Namespace
    wants_help: bool = False


def find_verb(name: str) -> Verb:
    """The verb of this name.

    Raises:
        UsageError: there is none; the message names the nearest.
    """
    if name not in BY_NAME:
        hint = nearest(name, BY_NAME) or " `%autopod help` lists them."
        raise UsageError(f"%autopod has no verb {name!r}.{hint}")
    return BY_NAME[name]


def parse_options(verb: Verb, words: Sequence[str]) -> Parsed:
    """Understand what stands after a verb.

    Raises:
        UsageError: an option or a value that does not fit; one line with the nearest option.
    """
    if any(word in _HELP_FLAGS for word in words):
        return Parsed(verb=verb, args=argparse.Namespace(), wants_help=True)
    args, left = _Parser(verb).parse_known_args(list(words))
    if not left:
        return Parsed(verb=verb, args=args)
    word = left[0]
    if word.startswith("-"):
        hint = nearest(word.split("=")[0], [option.name for option in verb.options if not option.positional])
        raise UsageError(f"{verb.command} has no option {word!r}.{hint} `{verb.command} --help` lists them.")
    raise UsageError(f"{verb.command}: {word!r} is one word too many. Usage: {verb.usage}")


def parse_line(words: Sequence[str]) -> Parsed:
    """Understand the words after ``%autopod``. No words at all ask for help.

    Raises:
        UsageError: an unknown verb or option, or a value that does not fit.
    """
    if not words or words[0] in _HELP_FLAGS:
        return parse_options(BY_NAME["help"], [])
    return parse_options(find_verb(words[0]), words[1:])


def split_line(line: str) -> list[str]:
    """The words of a magic's line, as a shell would split them; a last ``;`` is dropped.

    Raises:
        UsageError: a quote that is not closed.
    """
    try:
        return shlex.split(line.strip().removesuffix(";"))
    except ValueError as error:
        raise UsageError(f"The line cannot be split into words: {str(error).lower()}. Line: {line.strip()}") from error
