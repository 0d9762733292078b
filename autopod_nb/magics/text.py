"""What a verb says: a text that shows itself, and, where there is one, its HTML form. Knows no notebook."""

from __future__ import annotations

from dataclasses import dataclass


class Text(str):
    """A text that shows itself as it is, without quotes."""

    __slots__ = ()

    def __repr__(self) -> str:
        return str(self)


@dataclass(frozen=True, slots=True, repr=False)
class Page:
    """A text that also has an HTML form, which a notebook shows instead.

    Attributes:
        text: what a terminal shows.
        html: what a notebook shows; escaped by whoever made it.
    """

    text: str
    html: str

    def __repr__(self) -> str:
        return self.text

    def _repr_html_(self) -> str:
        return self.html
