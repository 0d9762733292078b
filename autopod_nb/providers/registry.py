"""Providers by name: each is an entry point of the group ``autopod_nb.providers``, the built-in ones like any other.

An entry point names a function ``make(settings, clock) -> Provider``. Nothing of a provider is imported until it is
asked for by its name.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from importlib.metadata import EntryPoint, entry_points
from typing import TYPE_CHECKING, cast

from autopod_nb.errors import ConfigError, nearest

if TYPE_CHECKING:
    from autopod_nb.clock import Clock
    from autopod_nb.config import Settings
    from autopod_nb.providers.base import Provider

GROUP = "autopod_nb.providers"


@cache
def _found() -> dict[str, EntryPoint]:
    return {entry.name: entry for entry in sorted(entry_points(group=GROUP), key=lambda entry: entry.name)}


def provider_names() -> tuple[str, ...]:
    """Every provider that is installed. Imports none of them."""
    return tuple(_found())


def make_provider(settings: Settings, clock: Clock) -> Provider:
    """The provider that the settings name.

    Args:
        settings: what it goes by.
        clock: the time.

    Raises:
        ConfigError: there is none of that name, or it cannot be loaded.
    """
    name = settings.provider
    if name not in _found():
        names = provider_names()
        raise ConfigError(f"There is no provider {name!r}, only {', '.join(names)}.{nearest(name, names)}")
    try:
        make = cast("Callable[[Settings, Clock], Provider]", _found()[name].load())
    except (ImportError, AttributeError) as error:
        raise ConfigError(f"The provider {name!r} is installed but cannot be loaded: {error}") from error
    return make(settings, clock)
