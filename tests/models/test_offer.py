"""What can be rented, and the many names of one GPU."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from autopod_nb.models.money import MoneyKind
from autopod_nb.models.offer import Offer, gpu_key

_KEYS = ("A40", "A5000", "A6000", "3090", "4090", "L40S", "H100SXM", "6000ADA")


@pytest.mark.parametrize(
    ("key", "names"),
    [
        ("A40", ["A40", "a40", "NVIDIA A40", " nvidia  a40 "]),
        ("A6000", ["RTX A6000", "rtxa6000", "NVIDIA RTX A6000", "A6000", "rtx-a6000"]),
        ("4090", ["RTX 4090", "NVIDIA GeForce RTX 4090", "4090", "rtx4090", "geforce_rtx_4090"]),
        ("6000ADA", ["RTX 6000 Ada", "NVIDIA RTX 6000 Ada", "NVIDIA RTX 6000 Ada Generation", "6000-ada"]),
        ("", ["", "  ", "NVIDIA", "RTX"]),
    ],
)
def test_every_name_of_a_gpu_is_one_key(key: str, names: list[str]) -> None:
    assert {gpu_key(name) for name in names} == {key}


def test_gpus_that_differ_have_keys_that_differ() -> None:
    names = ["A40", "A4000", "RTX A6000", "RTX 6000 Ada", "RTX 3090", "RTX 4090", "A100", "A10"]
    assert len({gpu_key(name) for name in names}) == len(names)


@given(
    st.sampled_from(_KEYS),
    st.sampled_from(["", "NVIDIA ", "nvidia geforce ", "RTX ", "NVIDIA RTX-"]),
    st.sampled_from([str.lower, str.upper, str.title]),
)
def test_a_key_is_its_own_key_however_it_is_dressed(key: str, prefix: str, case: object) -> None:
    assert callable(case)
    assert gpu_key(case(prefix + key)) == gpu_key(key) == key


def test_a_label_names_gpu_and_count() -> None:
    offer = Offer(
        provider="local",
        gpu_type="RTX A6000",
        gpu_count=2,
        vram_gb=48,
        price_per_hour_usd=Decimal("0.98"),
        stopped_price_per_hour_usd=Decimal("0.01"),
        kind=MoneyKind.SIMULATED,
    )
    assert offer.label == "RTX A6000 × 2"
