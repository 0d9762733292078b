from __future__ import annotations

from datetime import datetime, timedelta, timezone
from decimal import Decimal
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from autopod_nb.models.job import JobSpec, PodConfig
from autopod_nb.storage.columns import from_micro_usd, from_us, spec_from_json, spec_to_json, to_micro_usd, to_us

_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=6,
)
_paths = st.dictionaries(st.text(), st.text(min_size=1).map(Path), max_size=2)
_above_zero = st.none() | st.decimals(min_value="0.01", max_value=1000)
_specs = st.builds(
    JobSpec,
    job_id=st.text(min_size=1),
    workflow_template=st.text(),
    inputs=_paths,
    params=st.dictionaries(st.text(), _values, max_size=3),
    outputs=_paths,
    pod_config=st.builds(
        PodConfig,
        gpu_type=st.none() | st.text(),
        gpu_count=st.integers(1, 8),
        max_cost_usd=_above_zero,
        timeout_minutes=_above_zero,
    ),
    source=st.text(),
)


@settings(max_examples=60, deadline=None)
@given(spec=_specs)
def test_what_was_asked_for_reads_back_equal(spec: JobSpec) -> None:
    assert spec_from_json(spec_to_json(spec)) == spec


@given(at=st.datetimes(timezones=st.sampled_from([timezone.utc, timezone(timedelta(hours=-3, minutes=30))])))
def test_a_time_reads_back_as_the_same_moment(at: datetime) -> None:
    assert from_us(to_us(at)) == at


@given(amount=st.decimals(min_value=-(10**9), max_value=10**9, places=6))
def test_an_amount_reads_back_exactly(amount: Decimal) -> None:
    assert from_micro_usd(to_micro_usd(amount)) == amount
