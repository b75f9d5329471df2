"""The gate lets requests through as long as every budget has room, and says why not; what it does not know, it asks for."""

import asyncio
import logging

import pytest
from msgspec.structs import replace

from metering.domain.budgets.blocking import BilledAccount, BlockingView
from metering.domain.usage.events import QuantityGrade
from metering.sidecar import budget_gate
from metering.sidecar.budget_gate import BudgetGate
from metering.sidecar.budget_messages import (
    Announcement,
    AnswerRates,
    AskForRates,
    FromProxy,
    PublishView,
    decode_from_proxy,
    decode_from_shipping,
    framed,
    sent_rates,
)
from metering.sidecar.refusals import Refusal
from pricing.quantities import Quantities
from support.blocking_budgets import ACME, blocking, entering
from support.builders import HOUR, NOON, SECOND, rate, usage_event

ROUTER = "router.huggingface.co"
GIVEN = Quantities(input_tokens=100, output_tokens=10)  # 120,000 nano-USD of llama at together
LIFETIME = 960


class Shipping:
    """Stands in for the process that stores events: it answers at once, and only when a test lets it."""

    def __init__(self, *rates, host=ROUTER, refuses_unknown=False):
        self.rates = rates or (rate(),)
        self.position = 0
        self.sent = []
        self.answers = True
        self.gate = BudgetGate(host, lambda: self.position, LIFETIME, refuses_unknown=refuses_unknown)

    def connect(self):
        self.gate.connect(self.take)
        return self

    def take(self, message):
        message = decode_from_proxy(framed(message)[4:])
        self.sent.append(message)
        if isinstance(message, AskForRates) and self.answers:
            rates = [each for each in self.rates if message.provider in ("unknown", each.provider)]
            self.tell(AnswerRates(message.number, sent_rates(rates)))

    def tell(self, message):
        self.gate.receive(decode_from_shipping(framed(message)[4:]))

    def publish(self, *budgets, as_of=0, accounts=None, has_blocking=True):
        known = {"acme": BilledAccount(ACME, "")} if accounts is None else accounts
        self.tell(PublishView(BlockingView(as_of, known, list(budgets), ["team"], has_blocking=has_blocking)))
        return self

    def enter(self, **request):
        entered = self.gate.try_enter(entering(**request))
        assert entered is not None, "it would wait"
        return entered

    def refused(self, **request):
        entered = self.enter(**request)
        assert isinstance(entered, Refusal)
        return entered

    def let_through(self, **request):
        entered = self.enter(**request)
        assert not isinstance(entered, Refusal), entered
        return entered

    @property
    def names(self):
        return [name for each in self.sent if isinstance(each, Announcement) for name in each.names]

    def totals(self):
        totals = self.gate.ledger.totals(1)
        return totals.spent_nano, totals.unstored_nano, totals.reserved_nano


def in_loop(test):
    """Run a test in an event loop."""

    def run(monkeypatch, caplog):
        async def body():
            await test(monkeypatch, caplog)

        asyncio.run(body())

    run.__name__, run.__doc__ = test.__name__, test.__doc__
    return run


@in_loop
async def test_the_gate_is_open_if_no_budget_blocks(monkeypatch, caplog):
    shipping = Shipping().connect()
    assert shipping.gate.is_closed  # nothing is known yet
    shipping.publish(has_blocking=False, accounts={})
    assert not shipping.gate.is_closed
    shipping.publish(blocking())
    assert shipping.gate.is_closed


@in_loop
async def test_what_was_spent_and_reserved_leaves_no_room_for_more(monkeypatch, caplog):
    shipping = Shipping().connect().publish(blocking(limit_nano=400_000, spent_nano=100_000))
    hold = shipping.let_through()
    assert shipping.totals() == (100_000, 0, 120_000)
    shipping.let_through()
    refusal = shipping.refused()
    assert (refusal.status, refusal.code, refusal.retry_after_seconds) == (402, "budget_exceeded", 1)
    assert refusal.details == {
        "budget": "november",
        "budget_id": 1,
        "spent_usd": "0.000100000",
        "reserved_usd": "0.000240000",
        "request_usd": "0.000120000",
        "limit_usd": "0.000400000",
        "resets_at": "2026-12-01T00:00:00.000000Z",
    }
    hold.settle(usage_event(status=500, quantities=Quantities()), 1)
    shipping.let_through()


@in_loop
async def test_a_refusal_says_what_to_do(monkeypatch, caplog):
    shipping = Shipping().connect().publish(blocking(limit_nano=400_000, spent_nano=300_000))
    too_much = shipping.refused()
    assert too_much.message == (
        "this request can cost up to $0.00012, which is more than the budget 'november' has left: $0.0003 of $0.0004 is spent;"
        " lower max_tokens or shorten the prompt, or wait until it resets at 2026-12-01T00:00:00.000000Z"
    )
    assert too_much.retry_after_seconds is None
    shipping.publish(blocking(limit_nano=400_000, spent_nano=400_001))
    used_up = shipping.refused(started=blocking().resets_at - 90 * SECOND - 1)
    assert used_up.message == (
        "the budget 'november' is used up: $0.000400001 of $0.0004 is spent; it resets at 2026-12-01T00:00:00.000000Z"
    )
    assert used_up.retry_after_seconds == 91
    assert shipping.refused(started=blocking().resets_at - HOUR - 1).retry_after_seconds is None


@in_loop
async def test_a_charge_is_that_of_the_provider_that_served_the_request(monkeypatch, caplog):
    groq = rate(2_000_000, 9_000_000, provider="groq")
    shipping = Shipping(rate(), groq).connect().publish(blocking(limit_nano=10**9))
    hold = shipping.let_through(provider="unknown")
    assert shipping.totals() == (0, 0, 290_000)  # groq is the dearest: 100 x 2,000 + 10 x 9,000
    hold.settle(usage_event(quantities=GIVEN), 1)
    assert shipping.totals() == (0, 120_000, 0)
    shipping.let_through(provider="unknown").settle(usage_event(provider="groq", quantities=GIVEN), 2)
    assert shipping.totals() == (0, 410_000, 0)
    shipping.publish(blocking(limit_nano=10**9, spent_nano=120_000), as_of=1)
    assert shipping.totals() == (120_000, 290_000, 0)


@in_loop
async def test_an_event_counts_as_much_as_it_will_when_it_is_stored(monkeypatch, caplog):
    shipping = Shipping().connect().publish(blocking(limit_nano=10**9))
    for event, nano in [
        (usage_event(quantities=GIVEN), 120_000),
        (usage_event(quantities=GIVEN, quantity_grade=QuantityGrade.ESTIMATED), 120_000),
        (usage_event(quantities=GIVEN, status=429), 0),
        (usage_event(quantities=Quantities(), quantity_grade=QuantityGrade.UNSTATED), 0),
        (usage_event(quantities=Quantities(images=1), reported_cost_nano=77), 77),
        (usage_event(quantities=Quantities(images=1)), 0),
    ]:
        before = shipping.totals()[1]
        shipping.let_through().settle(event, 1)
        assert shipping.totals() == (0, before + nano, 0)


@in_loop
async def test_without_the_rate_of_what_a_request_turned_out_to_be_it_counts_as_reserved(monkeypatch, caplog):
    shipping = Shipping().connect().publish(blocking(limit_nano=10**9))
    shipping.let_through().settle(usage_event(model="qwen", quantities=GIVEN), 1)
    shipping.let_through().settle(usage_event(provider="groq", quantities=GIVEN), 2)
    assert shipping.totals() == (0, 240_000, 0)


@in_loop
async def test_a_request_is_counted_by_its_labels_and_declared_tags(monkeypatch, caplog):
    budgets = [
        blocking(id=1, limit_nano=10**9, scope={"project": ("search",), "tag:team": ("core",)}),
        blocking(id=2, limit_nano=10**9, scope={"tag:other": ("x",)}),
        blocking(id=3, limit_nano=10**9, scope={"provider": ("groq",)}),
    ]
    shipping = Shipping(rate(), rate(provider="groq")).connect().publish(*budgets)
    caller = {"project": "search", "tags": {"team": "core", "other": "x"}}
    hold = shipping.let_through(caller=caller, provider="unknown", facts={"model": "llama:fastest"})
    assert [shipping.gate.ledger.totals(each).reserved_nano for each in (1, 2, 3)] == [120_000, 0, 120_000]
    hold.release()
    shipping.let_through(caller=caller, provider="together", facts={"model": "llama:together"})
    assert [shipping.gate.ledger.totals(each).reserved_nano for each in (1, 2, 3)] == [120_000, 0, 0]


@in_loop
async def test_a_hold_is_settled_or_released_once_whatever_its_owner_does(monkeypatch, caplog):
    shipping = Shipping().connect().publish(blocking(limit_nano=10**9))
    hold = shipping.let_through()
    hold.settle(usage_event(quantities=GIVEN), 1)
    hold.settle(usage_event(quantities=GIVEN), 2)
    hold.release()
    assert shipping.totals() == (0, 120_000, 0)


@in_loop
async def test_a_leaked_reservation_expires_after_the_answer_could_have_ended(monkeypatch, caplog):
    shipping = Shipping().connect().publish(blocking(limit_nano=120_000))
    shipping.let_through()
    monkeypatch.setattr(budget_gate, "now_micros", lambda: NOON + LIFETIME * SECOND - 1)
    shipping.gate.tick()
    assert isinstance(shipping.enter(), Refusal)
    monkeypatch.setattr(budget_gate, "now_micros", lambda: NOON + LIFETIME * SECOND)
    shipping.gate.tick()
    shipping.let_through()


# What is not known.


@in_loop
async def test_requests_before_the_first_view_wait_for_it(monkeypatch, caplog):
    shipping = Shipping().connect()
    waiting = asyncio.create_task(shipping.gate.enter(entering()))
    await asyncio.sleep(0)
    assert not waiting.done()
    shipping.publish(blocking(spent_nano=1_000))
    assert isinstance(await waiting, Refusal)


@pytest.mark.parametrize("refuses_unknown", [False, True])
def test_without_a_first_view_the_setting_decides(monkeypatch, refuses_unknown):
    monkeypatch.setattr(budget_gate, "WAIT_SECONDS", 0.02)
    monkeypatch.setattr(budget_gate, "START_SECONDS", 0.05)

    async def body():
        shipping = Shipping(refuses_unknown=refuses_unknown)
        first = await shipping.gate.enter(entering())
        await asyncio.sleep(0.06)
        later = shipping.enter()  # without waiting
        shipping.gate.tick()
        assert shipping.gate.is_closed is refuses_unknown
        for entered in (first, later):
            assert isinstance(entered, Refusal) is refuses_unknown
            if isinstance(entered, Refusal):
                assert (entered.status, entered.code) == (503, "budgets_unknown")

    asyncio.run(body())


@pytest.mark.parametrize("refuses_unknown", [False, True])
def test_when_nothing_is_published_any_more_the_setting_decides(monkeypatch, refuses_unknown):
    async def body():
        shipping = Shipping(refuses_unknown=refuses_unknown).connect().publish(blocking(limit_nano=120_000))
        shipping.let_through()
        assert shipping.refused().code == "budget_exceeded"
        monkeypatch.setattr(budget_gate, "KNOWN_SECONDS", 0.0)
        shipping.publish(blocking(limit_nano=120_000))
        entered = shipping.enter()
        assert isinstance(entered, Refusal) is refuses_unknown
        # What is let through is still counted, so that it counts once budgets are known again.
        assert shipping.totals()[2] == (120_000 if refuses_unknown else 240_000)
        monkeypatch.undo()
        shipping.publish(blocking(limit_nano=120_000))
        assert shipping.refused().code == "budget_exceeded"

    asyncio.run(body())


@in_loop
async def test_the_budgets_of_a_new_account_are_asked_for_and_waited_for(monkeypatch, caplog):
    shipping = Shipping().connect().publish(blocking())
    assert shipping.gate.try_enter(entering(caller={"account": "globex"})) is None
    waiting = asyncio.create_task(shipping.gate.enter(entering(caller={"account": "globex"})))
    await asyncio.sleep(0)
    assert shipping.names == ["globex"]
    accounts = {"acme": BilledAccount(ACME, ""), "globex": BilledAccount(9, "")}
    shipping.publish(blocking(), blocking(id=2, account_id=9, spent_nano=1_000), accounts=accounts)
    assert isinstance(await waiting, Refusal)


@in_loop
async def test_an_account_without_blocking_budgets_is_let_through_and_not_counted(monkeypatch, caplog):
    shipping = Shipping().connect()
    shipping.publish(blocking(), accounts={"acme": BilledAccount(ACME, ""), "globex": BilledAccount(9, "")})
    hold = shipping.let_through(caller={"account": "globex"})
    hold.settle(usage_event(), 1)
    hold.release()
    assert shipping.totals() == (0, 0, 0)
    assert shipping.sent[1:] == []  # nothing was asked


@pytest.mark.parametrize("refuses_unknown", [False, True])
def test_an_account_or_a_rate_that_nobody_answers_is_waited_for_once(monkeypatch, refuses_unknown):
    monkeypatch.setattr(budget_gate, "WAIT_SECONDS", 0.02)

    async def body():
        shipping = Shipping(refuses_unknown=refuses_unknown).connect().publish(blocking(limit_nano=120_000))
        shipping.answers = False
        for request in ({"caller": {"account": "globex"}}, {"facts": {"model": "qwen"}}):
            assert isinstance(await shipping.gate.enter(entering(**request)), Refusal) is refuses_unknown
            await asyncio.sleep(0.03)
            assert isinstance(shipping.enter(**request), Refusal) is refuses_unknown

    asyncio.run(body())


@in_loop
async def test_a_budget_that_is_used_up_refuses_also_what_has_no_known_rate(monkeypatch, caplog):
    monkeypatch.setattr(budget_gate, "WAIT_SECONDS", 0.02)
    shipping = Shipping().connect().publish(blocking(spent_nano=1_000))
    shipping.answers = False
    shipping.gate.try_enter(entering())
    await asyncio.sleep(0.03)
    assert shipping.refused().code == "budget_exceeded"


@in_loop
async def test_rates_are_asked_for_once_and_again_when_they_are_old(monkeypatch, caplog):
    shipping = Shipping().connect().publish(blocking(limit_nano=10**9))
    for _ in range(5):
        shipping.let_through()
    questions = [each for each in shipping.sent if isinstance(each, AskForRates)]
    assert [(each.account, each.provider, each.model, each.operation, each.is_routed) for each in questions] == [
        ("acme", "together", "llama", "chat", True)
    ]


@in_loop
async def test_a_new_process_receives_all_names_and_where_the_journal_is(monkeypatch, caplog):
    shipping = Shipping().connect()
    shipping.publish(blocking())
    shipping.gate.try_enter(entering(caller={"account": "globex"}))
    shipping.gate.try_enter(entering(caller={"account": "initech"}))
    shipping.position = 44
    shipping.gate.tick()
    shipping.gate.tick()
    assert shipping.sent[-1] == Announcement([], 44)
    assert len(shipping.sent) == 4  # at the start, two names, one position
    shipping.gate.disconnect(shipping.take)
    shipping.gate.tick()
    assert len(shipping.sent) == 4
    shipping.connect()
    assert shipping.sent[-1] == Announcement(["globex", "initech"], 44, is_whole=True)


@in_loop
async def test_the_end_of_an_old_process_does_not_cut_off_the_new_one(monkeypatch, caplog):
    shipping = Shipping().connect()
    old = shipping.gate._send
    newer: list[FromProxy] = []
    shipping.gate.connect(newer.append)
    shipping.gate.disconnect(old)
    shipping.position = 3
    shipping.gate.tick()
    assert newer[-1] == Announcement([], 3)


@in_loop
async def test_names_are_bounded_and_those_with_budgets_stay(monkeypatch, caplog):
    monkeypatch.setattr(budget_gate, "MAX_NAMES", 3)
    shipping = Shipping().connect().publish(blocking(), accounts={})
    shipping.gate.try_enter(entering())
    shipping.publish(blocking(), accounts={"acme": BilledAccount(ACME, "")})
    for number in range(3):
        shipping.gate.try_enter(entering(caller={"account": f"made-up-{number}"}))
    assert shipping.sent[-1] == Announcement(["acme", "made-up-2"], 0, is_whole=True)


@in_loop
async def test_a_fault_of_the_gate_lets_requests_through(monkeypatch, caplog):
    shipping = Shipping().connect().publish(blocking(limit_nano=10**9))
    hold = shipping.let_through()
    monkeypatch.setattr(shipping.gate, "_rates", None)
    with caplog.at_level(logging.ERROR):
        shipping.let_through()
        hold.settle(usage_event(), 1)
    assert shipping.totals() == (0, 0, 0)
    assert "budgets cannot be checked" in caplog.text


@in_loop
async def test_what_is_not_routed_counts_as_its_account_is_billed(monkeypatch, caplog):
    after_credits = blocking(limit_nano=10**9, only_billable=True)
    shipping = Shipping(host="127.0.0.1").connect()
    shipping.publish(after_credits, accounts={"acme": BilledAccount(ACME, "provider_key")})
    shipping.let_through()
    assert shipping.totals() == (0, 0, 0)
    shipping.publish(replace(after_credits, revision_id=2), accounts={"acme": BilledAccount(ACME, "routed")})
    shipping.let_through()
    assert shipping.totals() == (0, 0, 120_000)
