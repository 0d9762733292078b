"""The verb ``gpus``: what can be rented, as a table, and a choice of it as one's own default."""

# ruff: noqa: PLC0415 - what is heavy is imported when a verb needs it

from __future__ import annotations

import os
from argparse import Namespace
from collections.abc import Sequence
from typing import TYPE_CHECKING

from autopod_nb.config import read_home
from autopod_nb.errors import UsageError, nearest
from autopod_nb.magics.text import Text
from autopod_nb.models.offer import CLOUDS

if TYPE_CHECKING:
    from autopod_nb.models.offer import Offer
    from autopod_nb.session.commands import PodRequest

_PREFERENCES = "defaults.gpu_preferences"


def gpus(args: Namespace) -> object:
    """The catalogue as a DataFrame, or with ``--save`` a line that says what was kept."""
    request = market_request(args)
    from autopod_nb.session.catalogue import catalogue_frame, find_catalogue

    offers = find_catalogue(request)
    return catalogue_frame(offers) if args.save is None else _save(args.save, offers)


def market_request(args: Namespace) -> PodRequest:
    """The wishes that ``connect`` and ``gpus`` share.

    Raises:
        UsageError: a cloud that nobody has.
    """
    from autopod_nb.session.commands import PodRequest

    cloud = None if args.cloud is None else args.cloud.lower()
    if cloud not in (None, *CLOUDS):
        raise UsageError(f"--cloud {args.cloud!r} is none of {', '.join(CLOUDS)}.{nearest(args.cloud, CLOUDS)}")
    return PodRequest(
        provider=args.provider,
        gpu_count=args.gpu_count,
        min_vram_gb=args.min_vram,
        cloud=cloud,
        region=args.region,
        cuda=args.cuda,
        spot=args.spot,
        max_price_per_hour_usd=args.max_price,
        network_volume=args.network_volume,
    )


def _save(names: Sequence[str], offers: Sequence[Offer]) -> Text:
    """Keep GPUs as the ones that are tried when none is named; all names are checked before any is kept."""
    from autopod_nb.config_file import config_path, get_value, set_value
    from autopod_nb.session.build import current_session
    from autopod_nb.session.catalogue import chosen_names

    chosen = chosen_names([part for name in names for part in name.split(",") if part.strip()], offers)
    home = read_home()
    set_value(home, _PREFERENCES, ",".join(chosen))
    row = get_value(home, os.environ, _PREFERENCES)
    lines = [
        f"{', '.join(chosen)} {'are' if len(chosen) > 1 else 'is'} tried from now on; kept in {config_path(home)}."
    ]
    if row.source.startswith("environment"):
        lines.append(f"But {row.source} says {row.value}, and that counts.")
    if current_session() is not None:
        lines.append("The session that runs keeps what it began with; a new kernel takes the new value.")
    return Text(" ".join(lines))
