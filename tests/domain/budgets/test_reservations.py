"""Reserved, unstored and stored money of a budget add up whatever happens in whichever order, and never pass the limit."""

from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from metering.domain.budgets import reservations
from metering.domain.budgets.periods import Window
from metering.domain.budgets.reservations import BudgetShortfall, BudgetTotals, Reservation, ReservationLedger
from metering.domain.instants import day_number, first_day, parse_instant
from support.blocking_budgets import ACME, blocking, counted, times
from support.builders import HOUR, NOON, SECOND

BEFORE_MIDNIGHT = parse_instant("2026-11-30T23:59:50Z")
DECEMBER = parse_instant("2026-12-01T00:00:00Z")


def ledger_of(*budgets, as_of=0):
    ledger = ReservationLedger()
    ledger.refresh(budgets, as_of)
    return ledger


def reserved(ledger, amount_nano, request=None, **when) -> Reservation:
    outcome = ledger.reserve(request or counted(), amount_nano, **times(**when))
    assert isinstance(outcome, Reservation), outcome
    return outcome


def refused(ledger, amount_nano, request=None, **when) -> BudgetShortfall:
    outcome = ledger.reserve(request or counted(), amount_nano, **times(**when))
    assert isinstance(outcome, BudgetShortfall), outcome
    return outcome


def test_a_request_is_let_through_up_to_exactly_the_limit():
    ledger = ledger_of(blocking(spent_nano=400))
    reserved(ledger, 350)
    assert refused(ledger, 251) == BudgetShortfall(blocking(spent_nano=400), 400, 350, 251)
    reserved(ledger, 250)
    assert ledger.totals(1) == BudgetTotals(400, 0, 600)
    assert ledger.reserved_nano == 600


def test_a_budget_that_is_used_up_lets_nothing_through_not_even_what_costs_nothing():
    ledger = ledger_of(blocking(spent_nano=1_000))
    assert refused(ledger, 0).is_exhausted
    assert not refused(ledger, 0).passes_once_settled


def test_it_is_said_whether_a_request_passes_once_others_have_ended():
    ledger = ledger_of(blocking())
    reserved(ledger, 900)
    assert refused(ledger, 1_000).passes_once_settled
    assert not refused(ledger, 1_001).passes_once_settled
    assert not refused(ledger, 1_001).is_exhausted


def test_a_charge_replaces_its_reservation_and_is_replaced_by_what_is_stored():
    ledger = ledger_of(blocking())
    first, second = reserved(ledger, 500), reserved(ledger, 500)
    ledger.settle(first, 120, 11)
    ledger.settle(second, 80, 12)
    assert ledger.totals(1) == BudgetTotals(0, 200, 0)
    ledger.refresh([blocking(spent_nano=120)], 11)
    assert ledger.totals(1) == BudgetTotals(120, 80, 0)
    ledger.refresh([blocking(spent_nano=200)], 12)
    assert ledger.totals(1) == BudgetTotals(200, 0, 0)


def test_a_view_that_is_older_than_the_last_one_changes_nothing():
    ledger = ledger_of(blocking(spent_nano=300), as_of=20)
    ledger.refresh([blocking(spent_nano=100)], 19)
    assert ledger.totals(1) == BudgetTotals(300, 0, 0)


def test_settling_and_releasing_again_changes_nothing_about_what_is_reserved():
    ledger = ledger_of(blocking())
    reservation, other = reserved(ledger, 300), reserved(ledger, 200)
    ledger.release(reservation)
    ledger.release(reservation)
    assert ledger.totals(1) == BudgetTotals(0, 0, 200)
    ledger.settle(other, 10, 1)
    ledger.release(other)
    assert ledger.totals(1) == BudgetTotals(0, 10, 0)
    assert (ledger.reserved_nano, ledger.open_reservations) == (0, 0)


def test_a_reservation_that_leaks_expires_by_itself():
    ledger = ledger_of(blocking())
    reserved(ledger, 1_000, expires_at=NOON + HOUR)
    assert ledger.expire(NOON + HOUR - 1) == 0
    refused(ledger, 1, now=NOON + HOUR - 1)
    assert ledger.expire(NOON + HOUR) == 1
    reserved(ledger, 1_000, now=NOON + HOUR)


def test_a_request_that_is_charged_after_its_reservation_expired_still_counts():
    ledger = ledger_of(blocking())
    late = reserved(ledger, 700)
    ledger.expire(NOON + HOUR)
    ledger.settle(late, 600, 3)
    assert ledger.totals(1) == BudgetTotals(0, 600, 0)


def test_a_request_counts_in_every_budget_that_covers_it_and_any_of_them_refuses():
    team = blocking(id=2, limit_nano=300, scope={"project": ("search",)})
    ledger = ledger_of(blocking(), team, blocking(id=3, account_id=8))
    search = counted(project="search")
    reserved(ledger, 250, search)
    assert refused(ledger, 60, search).budget == team
    reserved(ledger, 60)
    assert [ledger.totals(each).reserved_nano for each in (1, 2, 3)] == [310, 250, 0]


def test_a_refused_request_leaves_nothing_behind_in_other_budgets():
    ledger = ledger_of(blocking(), blocking(id=2, limit_nano=10))
    refused(ledger, 11)
    assert [ledger.totals(each).reserved_nano for each in (1, 2)] == [0, 0]
    assert ledger.reserved_nano == 0


def test_a_request_whose_provider_is_open_is_charged_to_the_one_that_served_it():
    together = blocking(id=2, scope={"provider": ("together",)})
    groq = blocking(id=3, scope={"provider": ("groq",)})
    ledger = ledger_of(blocking(), together, groq)
    reservation = reserved(ledger, 100, counted(providers=("unknown", "groq", "together")))
    assert [ledger.totals(each).reserved_nano for each in (1, 2, 3)] == [100, 100, 100]
    ledger.settle(reservation, 40, 1, counted(providers=("groq",)))
    assert [ledger.totals(each) for each in (1, 2, 3)] == [
        BudgetTotals(0, 40, 0),
        BudgetTotals(0, 0, 0),
        BudgetTotals(0, 40, 0),
    ]


def test_a_charge_that_no_journal_has_counts_until_the_period_ends():
    ledger = ledger_of(blocking())
    ledger.settle(reserved(ledger, 900), 900, None)
    ledger.refresh([blocking()], 50)
    ledger.refresh([blocking(revision_id=2)], 51)
    assert ledger.totals(1) == BudgetTotals(0, 900, 0)
    ledger.refresh([blocking(first_day=first_day(202612), end_day=first_day(202701))], 52)
    assert ledger.totals(1) == BudgetTotals(0, 0, 0)


def test_a_request_that_is_not_enforced_counts_too():
    ledger = ledger_of(blocking(spent_nano=1_000))
    outcome = ledger.reserve(counted(), 300, **times(), enforce=False)
    assert isinstance(outcome, Reservation)
    assert ledger.totals(1) == BudgetTotals(1_000, 0, 300)


def test_a_budget_that_is_new_counts_what_is_in_flight_and_what_is_not_stored():
    ledger = ledger_of(blocking())
    ledger.settle(reserved(ledger, 100), 60, 5)
    ledger.settle(reserved(ledger, 100), 30, 6)
    in_flight = reserved(ledger, 200)
    ledger.refresh([blocking(spent_nano=60), blocking(id=2, spent_nano=60)], 5)
    assert ledger.totals(2) == BudgetTotals(60, 30, 200)
    ledger.settle(in_flight, 150, 7)
    assert ledger.totals(1) == ledger.totals(2) == BudgetTotals(60, 180, 0)


def test_a_changed_scope_is_counted_again_and_a_changed_limit_holds_at_once():
    ledger = ledger_of(blocking())
    ledger.settle(reserved(ledger, 100, counted(project="search")), 60, 5)
    reserved(ledger, 200)
    ledger.refresh([blocking(revision_id=2, scope={"project": ("search",)}, limit_nano=70)], 4)
    assert ledger.totals(1) == BudgetTotals(0, 60, 0)
    assert refused(ledger, 11, counted(project="search")).budget.limit_nano == 70


def test_a_budget_that_is_gone_blocks_nothing():
    ledger = ledger_of(blocking(spent_nano=1_000))
    assert ledger.blocks_account(ACME)
    ledger.refresh([], 0)
    assert not ledger.blocks_account(ACME)
    reserved(ledger, 10**15)


def test_a_new_period_begins_with_nothing_spent_before_anything_is_published():
    ledger = ledger_of(blocking(spent_nano=1_000))
    refused(ledger, 1, now=BEFORE_MIDNIGHT)
    reserved(ledger, 700, now=DECEMBER, expires_at=DECEMBER + HOUR)
    assert ledger.totals(1) == BudgetTotals(0, 0, 700)


def test_a_charge_counts_in_the_period_in_which_its_request_started():
    ledger = ledger_of(blocking())
    november = reserved(ledger, 800, now=BEFORE_MIDNIGHT, expires_at=DECEMBER + HOUR)
    december = reserved(ledger, 900, now=DECEMBER + SECOND, expires_at=DECEMBER + HOUR)
    ledger.settle(november, 500, 1)
    assert ledger.totals(1) == BudgetTotals(0, 0, 900)
    ledger.settle(december, 100, 2)
    assert ledger.totals(1) == BudgetTotals(0, 100, 0)


def test_a_view_of_the_last_period_does_not_bring_it_back():
    ledger = ledger_of(blocking(spent_nano=900))
    reserved(ledger, 300, now=DECEMBER, expires_at=DECEMBER + HOUR)
    ledger.refresh([blocking(spent_nano=950)], 1)
    assert ledger.totals(1) == BudgetTotals(0, 0, 300)
    ledger.refresh([blocking(spent_nano=20, first_day=first_day(202612), end_day=first_day(202701))], 2)
    assert ledger.totals(1) == BudgetTotals(20, 0, 300)


def test_a_fixed_window_blocks_neither_before_nor_after_it():
    first, end = day_number(date(2026, 11, 3)), day_number(date(2026, 11, 20))
    ledger = ledger_of(blocking(window=Window.FIXED, first_day=first, end_day=end, spent_nano=1_000))
    refused(ledger, 1)
    reserved(ledger, 5_000, now=parse_instant("2026-11-02T23:59:59Z"))
    reserved(ledger, 5_000, now=parse_instant("2026-11-20T00:00:00Z"), expires_at=DECEMBER)


def test_credits_that_are_left_come_before_the_limit():
    ledger = ledger_of(blocking(spent_nano=-250))
    reserved(ledger, 1_250)
    assert refused(ledger, 1).passes_once_settled


def test_charges_beyond_the_bound_are_merged_and_add_up(monkeypatch):
    monkeypatch.setattr(reservations, "MAX_UNSTORED", 10)
    ledger = ledger_of(blocking(limit_nano=10**6), blocking(id=2, limit_nano=10**6, scope={"project": ("search",)}))
    for sequence in range(1, 41):
        request = counted(project="search" if sequence % 2 else "")
        ledger.settle(reserved(ledger, 10, request), sequence, sequence, request)
    assert ledger.totals(1) == BudgetTotals(0, 820, 0)  # 1 + 2 + ... + 40
    assert ledger.totals(2) == BudgetTotals(0, 400, 0)  # the odd ones
    ledger.refresh([blocking(spent_nano=820, limit_nano=10**6), blocking(id=2, spent_nano=400, limit_nano=10**6)], 40)
    assert ledger.totals(1) == BudgetTotals(820, 0, 0)


# Anything in any order.

BUDGETS = {1: {}, 2: {"project": ("search",)}, 3: {"provider": ("groq",)}}
REQUESTS = (counted(), counted(project="search"), counted(providers=("groq",)), counted(project="search", providers=("groq",)))
LIMIT = 2_000

reserving = st.tuples(st.just("reserve"), st.integers(0, 3), st.integers(0, 900), st.integers(1, 30))
settling = st.tuples(st.just("settle"), st.integers(0, 9), st.integers(0, 900), st.booleans())
releasing = st.tuples(st.just("release"), st.integers(0, 9))
refreshing = st.tuples(st.just("refresh"), st.integers(0, 5), st.booleans())
passing = st.tuples(st.just("pass"), st.integers(1, 10))


class Oracle:
    """What must be true, from plain lists: every request made, and what became of it."""

    def __init__(self):
        self.now = NOON
        self.open: list[tuple[Reservation, int, int, int]] = []  # reservation, request, amount, expires at
        self.charges: list[tuple[int, int, int]] = []  # request, amount, sequence
        self.lost: list[tuple[int, int]] = []
        self.as_of = 0
        self.sequence = 0

    def covers(self, budget: int, request: int) -> bool:
        return {1: True, 2: request in (1, 3), 3: request in (2, 3)}[budget]

    def stored(self, budget: int) -> int:
        return sum(amount for request, amount, at in self.charges if self.covers(budget, request) and at <= self.as_of)

    def totals(self, budget: int) -> BudgetTotals:
        unstored = [amount for request, amount, at in self.charges if self.covers(budget, request) and at > self.as_of]
        lost = [amount for request, amount in self.lost if self.covers(budget, request)]
        held = [amount for _, request, amount, _ in self.open if self.covers(budget, request)]
        return BudgetTotals(self.stored(budget), sum(unstored) + sum(lost), sum(held))


@given(st.lists(st.one_of(reserving, settling, releasing, refreshing, passing), max_size=60))
def test_whatever_happens_in_whichever_order_everything_is_counted_once(steps):
    ledger, oracle = ReservationLedger(), Oracle()
    revision = 1
    ledger.refresh([blocking(id=each, limit_nano=LIMIT, scope=scope) for each, scope in BUDGETS.items()], 0)
    done: list[Reservation] = []
    for step in steps:
        match step:
            case ("reserve", request, amount, seconds):
                used = {each: oracle.totals(each) for each in BUDGETS if oracle.covers(each, request)}
                sums = {each: t.spent_nano + t.unstored_nano + t.reserved_nano for each, t in used.items()}
                expires_at = oracle.now + seconds * SECOND
                outcome = ledger.reserve(REQUESTS[request], amount, now=oracle.now, expires_at=expires_at)
                fits = all(each < LIMIT and each + amount <= LIMIT for each in sums.values())
                assert isinstance(outcome, Reservation) is fits
                if isinstance(outcome, Reservation):
                    oracle.open.append((outcome, request, amount, expires_at))
            case ("settle", which, amount, is_kept) if oracle.open:
                reservation, request, *_ = oracle.open.pop(which % len(oracle.open))
                oracle.sequence += is_kept
                ledger.settle(reservation, amount, oracle.sequence if is_kept else None)
                if is_kept:
                    oracle.charges.append((request, amount, oracle.sequence))
                else:
                    oracle.lost.append((request, amount))
                done.append(reservation)
            case ("release", which) if oracle.open:
                reservation, *_ = oracle.open.pop(which % len(oracle.open))
                ledger.release(reservation)
                done.append(reservation)
            case ("refresh", further, is_revised):
                oracle.as_of = min(oracle.sequence, oracle.as_of + further)
                revision += is_revised
                ledger.refresh(
                    [
                        blocking(id=each, limit_nano=LIMIT, scope=scope, revision_id=revision, spent_nano=oracle.stored(each))
                        for each, scope in BUDGETS.items()
                    ],
                    oracle.as_of,
                )
            case ("pass", seconds):
                oracle.now += seconds * SECOND
                expired = [each for each in oracle.open if each[3] <= oracle.now]
                assert ledger.expire(oracle.now) == len(expired)
                oracle.open = [each for each in oracle.open if each not in expired]
        for reservation in done[-2:]:
            ledger.release(reservation)  # a second time: nothing happens
        assert {each: ledger.totals(each) for each in BUDGETS} == {each: oracle.totals(each) for each in BUDGETS}
        assert ledger.reserved_nano == sum(amount for _, _, amount, _ in oracle.open) >= 0
        assert ledger.open_reservations == len(oracle.open)


@given(
    st.lists(st.tuples(st.integers(1, 400), st.integers(0, 100), st.booleans()), max_size=80),
    st.integers(1, 2_000),
)
def test_what_costs_at_most_what_it_reserved_never_passes_the_limit(requests, limit_nano):
    ledger = ledger_of(blocking(limit_nano=limit_nano))
    in_flight: list[tuple[Reservation, int]] = []
    spent = 0
    for sequence, (amount, percent, ends_first) in enumerate(requests, 1):
        outcome = ledger.reserve(counted(), amount, **times())
        if isinstance(outcome, Reservation):
            in_flight.append((outcome, amount * percent // 100))
        if ends_first and in_flight:
            reservation, cost = in_flight.pop(0)
            ledger.settle(reservation, cost, sequence)
            spent += cost
    assert spent + sum(cost for _, cost in in_flight) <= limit_nano


@given(st.integers(2, 4), st.lists(st.tuples(st.integers(0, 3), st.integers(1, 300)), max_size=60), st.integers(0, 900))
def test_several_ledgers_pass_the_limit_by_at_most_what_was_left_for_each_other_one(count, requests, spent_nano):
    ledgers = [ledger_of(blocking(spent_nano=spent_nano)) for _ in range(count)]
    spent = spent_nano
    for sequence, (which, amount) in enumerate(requests, 1):
        ledger = ledgers[which % count]
        outcome = ledger.reserve(counted(), amount, **times())
        if isinstance(outcome, Reservation):
            ledger.settle(outcome, amount, sequence)
            spent += amount
    assert spent <= 1_000 + (count - 1) * (1_000 - spent_nano)


def test_two_ledgers_can_pass_the_limit_by_exactly_that():
    ledgers = [ledger_of(blocking(spent_nano=400)), ledger_of(blocking(spent_nano=400))]
    for ledger in ledgers:
        reserved(ledger, 600)
        refused(ledger, 1)
    assert 400 + sum(ledger.reserved_nano for ledger in ledgers) == 1_000 + 600


@pytest.mark.parametrize("amount_nano", [0, 5])
def test_a_view_that_has_the_charge_already_counts_it_once(amount_nano):
    ledger = ledger_of(blocking())
    reservation = reserved(ledger, 10)
    ledger.refresh([blocking(spent_nano=amount_nano)], 4)
    ledger.settle(reservation, amount_nano, 4)
    assert ledger.totals(1) == BudgetTotals(amount_nano, 0, 0)
