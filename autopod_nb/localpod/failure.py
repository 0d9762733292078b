"""The one error of the pod program that its user can do something about."""

from __future__ import annotations


class StartFailed(Exception):
    """The pod cannot come up; the text says why, in one line."""
