"""The settings as they could last be read: a slip of the pen in ``config.json`` must leave no pod without a guard."""

from __future__ import annotations

import logging

from autopod_nb.config import Settings, read_settings
from autopod_nb.errors import ConfigError

_log = logging.getLogger(__name__)


class LastSettings:
    """Reads them anew each time, so that a key that was missing may be there by now."""

    def __init__(self) -> None:
        self._good: dict[str | None, Settings] = {}
        self._said = ""

    def read(self, provider: str | None = None) -> Settings:
        """Those of a provider, or of the one that they name.

        Raises:
            ConfigError: they cannot be read, and never could.
        """
        try:
            self._good[provider] = read_settings(provider=provider)
        except ConfigError as error:
            if provider not in self._good:
                raise
            if str(error) != self._said:
                self._said = str(error)
                _log.error("the settings stay as they were: %s", error)
        return self._good[provider]

    def remember(self, provider: str) -> None:
        """Read those of a provider for later, if that was not done yet; that they cannot be read is told then."""
        if provider not in self._good:
            try:
                self.read(provider)
            except ConfigError as error:
                _log.debug("not yet: %s", error)
