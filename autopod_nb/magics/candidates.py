"""What may stand at the cursor of a command line, from the table in ``verbs.py``. Never asks the network."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence
from pathlib import Path

from autopod_nb.config import SETTINGS
from autopod_nb.models.offer import CLOUDS
from autopod_nb.session.provider_list import provider_names
from autopod_nb.verb import Kind, Offers, Option, Verb
from autopod_nb.verbs import BY_NAME, CELL, VERBS

_GPUS = ("A40", "A5000", "A6000", "RTX3090", "RTX4090")
_FIXED = {
    Offers.VERBS: (*BY_NAME, CELL.name),
    Offers.GPUS: _GPUS,
    Offers.CLOUDS: CLOUDS,
    Offers.COST_GROUPS: ("pod", "job", "template", "gpu"),
    Offers.FORMATS: ("csv", "parquet", "json"),
    Offers.CONFIG_ACTIONS: ("get", "set", "unset", "path", "edit"),
    Offers.SETTINGS: tuple(setting.key for setting in SETTINGS),
}


def candidates(magic: str, before: Sequence[str], begun: str = "") -> list[str] | None:
    """What may stand after some words.

    Args:
        magic: ``%autopod`` or ``%%comfyjob``.
        before: the whole words between the magic and the cursor.
        begun: the word at the cursor; of it, only what stands before an ``=`` matters, as in ``--gpu=A``.

    Returns:
        The words; None when it is for others to say, as for file names.
    """
    option, equals, _ = begun.partition("=")
    if equals and option.startswith("--"):
        values = candidates(magic, [*before, option])
        return None if values is None else [f"{option}={value}" for value in values if not value.startswith("-")]
    if magic == CELL.command:
        return _after(CELL, before)
    if not before:
        return [verb.name for verb in VERBS]
    return _after(BY_NAME[before[0]], before[1:]) if before[0] in BY_NAME else []


def _after(verb: Verb, before: Sequence[str]) -> list[str] | None:
    options = [option for option in verb.options if not option.positional]
    open_option = _open_option(options, before)
    if open_option is not None and open_option.nargs == "1":
        return _values(open_option.offers)
    names = [option.name for option in options if option.name not in before]
    wanted = open_option or _open_argument(verb, options, before)
    if wanted is None:
        return names
    values = _values(wanted.offers)
    if values is None:
        return None
    return [*(value for value in values if wanted.nargs not in "*+" or value not in before), *names]


def _open_argument(verb: Verb, options: Sequence[Option], before: Sequence[str]) -> Option | None:
    """The argument without a name that may stand at the cursor."""
    arguments = [option for option in verb.options if option.positional]
    taken = sum(
        not word.startswith("-") and _open_option(options, before[:place]) is None for place, word in enumerate(before)
    )
    if taken < len(arguments):
        return arguments[taken]
    return arguments[-1] if arguments and arguments[-1].nargs in "*+" else None


def _open_option(options: Iterable[Option], before: Sequence[str]) -> Option | None:
    """The option whose value stands at the cursor."""
    for distance, word in enumerate(reversed(before)):
        for option in options:
            if option.name == word:
                takes = option.kind is not Kind.FLAG and (distance == 0 or option.nargs in "*+")
                return option if takes else None
    return None


def _values(offers: Offers) -> list[str] | None:
    if offers is Offers.FILES:
        return None
    if offers in _FIXED:
        return list(_FIXED[offers])
    if offers is Offers.PROVIDERS:
        return list(provider_names())
    return _templates() if offers is Offers.TEMPLATES else _of_session(offers)


def _of_session(offers: Offers) -> list[str]:
    """Pods and jobs of the session that is there, most often only those that are not over; completion opens none."""
    build = sys.modules.get("autopod_nb.session.build")
    session = build.current_session() if build is not None else None
    if session is None:
        return []
    if offers is Offers.ALL_JOBS:
        return list(session.snapshot.jobs)
    views = {Offers.PODS: session.snapshot.pods, Offers.JOBS: session.snapshot.jobs}.get(offers, {})
    return [name for name, view in views.items() if not view.over]


def _templates() -> list[str]:
    package = Path(__file__).parents[1]
    folders = (Path("templates"), package / "templates", package.parent / "templates")
    return sorted({path.stem for folder in folders for path in folder.glob("*.json")})
