"""Which providers there are, for faces, which do not know providers. Imports none of them."""

from __future__ import annotations

from autopod_nb.providers.registry import provider_names

__all__ = ["provider_names"]
