"""Which records are duplicates, conflicts, or copies of each other."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from metering.domain.usage.identity import (
    account_mask,
    claims_of,
    fingerprint_of,
    identity_in_account,
    identity_of,
    raw_digest,
    record_digest,
)
from pricing.quantities import ALL_KINDS, Quantities
from support.builders import NOON, usage_event

names = st.text(max_size=12)


@given(st.tuples(names, names), st.tuples(names, names))
def test_records_share_an_identity_only_if_source_and_id_are_equal(one, other):
    assert (record_digest(*one) == record_digest(*other)) == (one == other)


@given(st.tuples(names, names, st.integers(1, 50)), st.tuples(names, names, st.integers(1, 50)))
def test_an_identity_belongs_to_one_account_source_and_id(one, other):
    assert (identity_in_account(*one) == identity_in_account(*other)) == (one == other)


def test_the_identity_of_a_stored_event_equals_the_decoded_one():
    digest = record_digest("gateway", "r1")
    assert identity_in_account("gateway", "r1", 7) == identity_of(digest, account_mask(7))
    assert len(identity_in_account("gateway", "r1", 7)) == 16


def test_identities_never_change_between_releases():
    """Fixed values: with different identities, every log that is ingested again would count twice."""
    assert identity_in_account("gateway-1", "req_01", 2).hex() == "49825fbd5e5d6897a0a61900546ca4e7"
    event = usage_event(id="req_01", source="gateway-1", time=NOON, quantities=Quantities(input_tokens=1, output_tokens=2))
    assert fingerprint_of(event) == -7347503270961008623
    assert claims_of(replace(event, response_id="ebafdc12cee84cf29c1b")) == [-4102150626519327124]


@pytest.mark.parametrize(
    "change",
    [
        {"time": NOON + 1},
        {"provider": "groq"},
        {"model": "llama-2"},
        {"operation": "completion"},
        {"route": ""},
        {"status": None},
        {"status": 201},
        *({"quantities": Quantities(**{"input_tokens": 100, "output_tokens": 10} | {kind: 1})} for kind in ALL_KINDS),
    ],
)
def test_the_fingerprint_changes_with_anything_that_determines_a_charge(change):
    event = usage_event()
    assert fingerprint_of(replace(event, **change)) != fingerprint_of(event)


@pytest.mark.parametrize(
    "change",
    [
        {"id": "x"},
        {"source": "x"},
        {"account": "x"},
        {"project": "x"},
        {"key": "x"},
        {"tags": {"a": "b"}},
        {"latency_ms": 1},
        {"response_id": "x" * 20},
        {"reported_cost_nano": 1},
        {"gateway_cost_nano": 1},
        {"response_model": "x"},
        {"time_derived": True},
    ],
)
def test_the_fingerprint_ignores_everything_else(change):
    event = usage_event()
    assert fingerprint_of(replace(event, **change)) == fingerprint_of(event)


@given(st.integers(0, 10**9), st.integers(0, 10**9))
def test_a_fingerprint_fits_into_a_signed_64_bit_column(tokens, output):
    digest = fingerprint_of(usage_event(quantities=Quantities(input_tokens=tokens, output_tokens=output)))
    assert -(2**63) <= digest < 2**63


def test_a_kind_with_zero_usage_is_not_part_of_the_fingerprint():
    """A kind that is added later must not change any digest."""
    assert fingerprint_of(usage_event(quantities=Quantities(images=0))) == fingerprint_of(usage_event(quantities=Quantities()))


def test_only_long_ids_make_a_claim():
    assert claims_of(usage_event(response_id="a" * 11, inference_id="b" * 11)) == []
    assert len(claims_of(usage_event(response_id="a" * 12, inference_id="b" * 12))) == 2


def test_a_claim_depends_on_the_kind_of_id_the_provider_and_the_output():
    event = usage_event(response_id="a" * 20)
    (claim,) = claims_of(event)
    assert claims_of(replace(event, source="other", model="other", time=0)) == [claim]
    others = [
        replace(event, provider="groq"),
        replace(event, quantities=Quantities(input_tokens=100, output_tokens=11)),
        replace(event, response_id="", inference_id="a" * 20),
        replace(event, response_id="b" * 20),
    ]
    assert all(claims_of(other) != [claim] for other in others)


def test_raw_bytes_are_identified_by_their_digest():
    assert raw_digest(b"") == "cae66941d9efbd404e4d88758ea67670"  # BLAKE2b-128 of the empty string
    assert raw_digest(b"{}") != raw_digest(b"{} ")
