"""A gauge of money against a limit, as SVG: pure. It says in words and figures all that its colour says."""

from __future__ import annotations

import math
from decimal import Decimal

from autopod_nb.models.money import MoneyKind
from autopod_nb.widgets.safe import label, safe

_WARN_PERCENT = 90
_RADIUS, _X, _Y = 40, 50, 48
_GREEN, _RED = 130, 0  # hues


def gauge_svg(spent_usd: Decimal, limit_usd: Decimal, kind: MoneyKind, *, name: str) -> str:
    """An arc from empty to the limit, green to red, with a mark at 90 %.

    Args:
        spent_usd: so far.
        limit_usd: over zero.
        kind: real or simulated money.
        name: whose limit it is: ``session``.
    """
    percent = float(spent_usd / limit_usd * 100)
    shown = min(100.0, max(0.0, percent))
    hue = round(_GREEN + (_RED - _GREEN) * shown / 100)
    words = f"{percent:.0f} % of the {name}'s limit: {spent_usd:.4f} of {limit_usd:.2f} USD, {_short(kind)}"
    over = " – stops here" if percent >= 100 else " – near it" if percent >= _WARN_PERCENT else ""
    said = label(words + over)
    inner, outer = _point(_WARN_PERCENT, _RADIUS - 8), _point(_WARN_PERCENT, _RADIUS + 8)
    return (
        f'<svg role="img" aria-label="{said}" viewBox="0 0 100 60" width="120" height="72" style="flex:none">'
        f"<title>{said}</title>"
        f'<path d="{_arc(100)}" fill="none" stroke="var(--jp-layout-color3,#bdbdbd)" stroke-width="9"/>'
        f'<path d="{_arc(max(shown, 0.5))}" fill="none" stroke="hsl({hue},65%,42%)" stroke-width="9"/>'
        f'<line x1="{inner[0]}" y1="{inner[1]}" x2="{outer[0]}" y2="{outer[1]}" '
        'stroke="var(--jp-ui-font-color1,#424242)" stroke-width="1.5"/>'
        f"{_text(48, 15, f'{percent:.0f} %', bold=True)}{_text(58, 8, _short(kind))}</svg>"
    )


def _short(kind: MoneyKind) -> str:
    return "simulated money" if kind is MoneyKind.SIMULATED else "real money"


def _text(y: int, size: int, text: str, *, bold: bool = False) -> str:
    weight = ' font-weight="600"' if bold else ""
    return (
        f'<text x="50" y="{y}" text-anchor="middle" font-size="{size}"{weight} '
        f'fill="var(--jp-ui-font-color1,currentColor)">{safe(text)}</text>'
    )


def _arc(percent: float) -> str:
    x, y = _point(percent, _RADIUS)
    return f"M {_X - _RADIUS} {_Y} A {_RADIUS} {_RADIUS} 0 0 1 {x} {y}"


def _point(percent: float, radius: float) -> tuple[float, float]:
    angle = math.pi * (1 - percent / 100)
    return round(_X + radius * math.cos(angle), 2), round(_Y - radius * math.sin(angle), 2)
