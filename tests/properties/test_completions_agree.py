"""Any order of placeholder, partial and final records, in any batches, ends as the final records alone.

So do duplicates of them, and other sources' copies of the final records.
"""

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from metering.domain.usage.events import UNKNOWN, QuantityGrade
from metering.domain.usage.identity import CLAIM_WINDOW_MICROS
from pricing.quantities import Quantities
from support.builders import INPUT_NANO, NOON, OUTPUT_NANO, usage_event
from support.meter import Meter

GAPS = {"provider": UNKNOWN, "route": "", "status": None, "model": UNKNOWN}

requests = st.lists(
    st.fixed_dictionaries(
        {
            "input": st.integers(0, 10**6),
            "output": st.integers(1, 10**6),
            "status": st.sampled_from([200, 200, 200, 500]),
            "has_response_id": st.booleans(),
            # What each earlier record leaves open, and how it knows the quantities.
            "earlier": st.lists(
                st.tuples(
                    st.sets(st.sampled_from(sorted(GAPS))),
                    st.sampled_from(["unstated", "estimated", "input only", "all"]),
                    st.integers(0, 600),
                ),
                max_size=3,
            ),
            "copies": st.integers(0, 2),
            "duplicates": st.integers(0, 2),
        }
    ),
    min_size=1,
    max_size=4,
)


def final_record(number, made):
    return usage_event(
        id=f"request-{number:06d}",
        status=made["status"],
        time=NOON + number * 2 * CLAIM_WINDOW_MICROS % (8 * 3_600_000_000),
        quantities=Quantities(input_tokens=made["input"], output_tokens=made["output"]),
        response_id=f"response-{number:06d}" if made["has_response_id"] else "",
    )


def earlier_record(final, gaps, known, seconds):
    """A record of the same request, written up to ten minutes earlier by a logger that does not know everything yet."""
    used = {
        "unstated": (Quantities(), QuantityGrade.UNSTATED),
        "estimated": (Quantities(input_tokens=3, output_tokens=4), QuantityGrade.ESTIMATED),
        "input only": (Quantities(input_tokens=final.quantities.input_tokens), QuantityGrade.MEASURED),
        "all": (final.quantities, QuantityGrade.MEASURED),
    }
    quantities, grade = used[known]
    record = replace(final, quantities=quantities, quantity_grade=grade, **{name: GAPS[name] for name in gaps})
    # Where it states all that is known, another time would be a second request under the same ID.
    return record if record == final else replace(record, time=final.time - seconds * 1_000_000)


def copy_of(final, number):
    return replace(final, id=f"{final.id}-copy", source=f"tracer-{number}")


def ledger(meter):
    """Spend by day, provider, model and route, with the number of requests; without sums that came to nothing."""
    rows = meter.spend(group_by=("provider", "model", "route", "price_grade", "quantity_grade"))
    return sorted((row.group, row.events, row.amount_nano) for row in rows if row.events or row.amount_nano)


def ingested(databases, batches):
    meter = Meter(databases.new())
    try:
        meter.declare("acme")
        meter.record_prices()
        for batch in batches:
            meter.ingest(*batch)
        assert meter.violations() == []
        return ledger(meter)
    finally:
        meter.engine.dispose()
        databases.drop(meter.url)


@given(requests, st.randoms(use_true_random=False))
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_records_in_any_order_and_batches_end_as_the_final_ones_alone(databases, made, chance):
    finals = [final_record(number, each) for number, each in enumerate(made)]
    sent = list(finals)
    for final, each in zip(finals, made, strict=True):
        sent += [earlier_record(final, *earlier) for earlier in each["earlier"]]
        sent += [final] * each["duplicates"]
        if each["has_response_id"]:
            sent += [copy_of(final, number) for number in range(each["copies"])]
    chance.shuffle(sent)
    batches = []
    while sent:
        size = chance.randint(1, 6)
        batches.append(sent[:size])
        sent = sent[size:]
    expected = ingested(databases, [finals])
    assert ingested(databases, batches) == expected
    answered = [each for each in made if each["status"] == 200]
    cost = sum(each["input"] * INPUT_NANO + each["output"] * OUTPUT_NANO for each in answered)
    assert sum(nano for _, _, nano in expected) == cost
    assert sum(events for _, events, _ in expected) == len(made)
