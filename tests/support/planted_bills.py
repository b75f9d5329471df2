"""Invoices with planted faults, made from generated usage and a seed; each fault records the amount that it adds.

Usage is a month of requests with IDs, of two models, some of them failed, on another route, or without a known price. A fault
changes the correct invoice, and no other fault changes the requests that it touched.
"""

from collections import Counter
from random import Random

from msgspec.structs import replace

from metering.domain.reconciliation.causes import Cause
from metering.domain.reconciliation.invoices import Coverage, InvoiceLine
from metering.domain.reconciliation.requests import Billability, MeteredRequest
from pricing.money import divide_up
from pricing.quantities import Quantities
from pricing.rates import Price, Rate
from support.builders import instant

START, END = instant("2026-11-01T00:00:00Z"), instant("2026-12-01T00:00:00Z")
HOUR = 3_600_000_000
COVERAGE = Coverage(START, END)

# pico-USD per token: input, cached, output. Two versions per model, no price a round multiple of another.
PRICES = {
    ("together", "llama", 1): (900_000, 91_000, 1_130_000),
    ("together", "llama", 2): (1_043_000, 107_000, 1_279_000),
    ("fireworks-ai", "qwen", 3): (217_000, 23_000, 881_000),
    ("fireworks-ai", "qwen", 4): (199_000, 19_000, 1_009_000),
}
KINDS = ("input_tokens", "cache_read_tokens", "output_tokens")
RATES = {
    number: Rate(
        provider=provider,
        model=model,
        prices={kind: Price(pico) for kind, pico in zip(KINDS, pico_prices, strict=True)},
        id=number,
    )
    for (provider, model, number), pico_prices in PRICES.items()
}
RECORDED = {("together", "llama"): [RATES[1], RATES[2]], ("fireworks-ai", "qwen"): [RATES[3], RATES[4]]}
FACTORS = (9_000, 10_290, 10_500, 10_550, 10_837, 11_000, 12_000)
"""Ten-thousandths: a discount, fees, taxes, an exchange rate."""

CHARGED_AT = {"llama": 1, "qwen": 3}


def cost(number: int, fresh: int, cached: int, output: int) -> int:
    """Return the cost of tokens in nano-USD, rounded up, computed without the code under test."""
    prices = next(prices for key, prices in PRICES.items() if key[2] == number)
    return divide_up(fresh * prices[0] + cached * prices[1] + output * prices[2], 1000)


def cost_of(request: MeteredRequest, number: int | None = None, *, fresh: int = 0, cached: int = 0, output: int = 0) -> int:
    """Return the cost of a request at a rate, with more tokens of some kinds."""
    q = request.quantities
    number = CHARGED_AT[request.model] if number is None else number
    return cost(number, q.input_tokens + fresh, q.cache_read_tokens + cached, q.output_tokens + output)


def rounding_of(findings) -> int:
    """Return how much of the differences is booked as rounding, in nano-USD, both directions added up."""
    return sum(abs(found.amount_nano) for found in findings.sorted() if found.key.cause is Cause.ROUNDING)


class PlantedBill:
    """Usage, an invoice for it, and the faults planted in the invoice: ``planted`` adds up nano-USD by cause."""

    def __init__(self, seed: int, requests: int | None = None) -> None:
        self.random = Random(seed)
        self.planted: Counter[Cause] = Counter()
        count = self.random.randint(20, 120) if requests is None else requests
        self.requests = [self._request(number) for number in range(1, count + 1)]
        self.lines: dict[str, list[int]] = {
            self.id_of(each): [each.amount_nano] for each in self.requests if self.is_expected(each)
        }
        self._untouched = {each.event_id for each in self.requests}

    def _request(self, number: int) -> MeteredRequest:
        model, provider = self.random.choice([("llama", "together"), ("qwen", "fireworks-ai")])
        output = self.random.randint(200, 3_000)
        quantities = Quantities(
            input_tokens=self.random.randint(200, 9_000),
            cache_read_tokens=self.random.choice([0, self.random.randint(300, 5_000)]),
            output_tokens=output,
            reasoning_tokens=self.random.choice([0, self.random.randint(100, output)]),
        )
        billability = self.random.choices(list(Billability), weights=[80, 8, 8, 4, 2])[0]
        rate = RATES[CHARGED_AT[model]]
        request = MeteredRequest(
            event_id=number,
            time=self.random.randrange(START - 40 * HOUR, END + 40 * HOUR),
            provider=provider,
            model=model,
            billability=billability,
            amount_nano=0,
            quantities=quantities,
            rate=rate if billability in (Billability.BILLED, Billability.OTHER_ROUTE) else None,
        )
        return replace(request, amount_nano=cost_of(request)) if billability == Billability.BILLED else request

    @staticmethod
    def id_of(request: MeteredRequest) -> str:
        return f"inference-{request.event_id:06d}"

    @staticmethod
    def is_expected(request: MeteredRequest) -> bool:
        return request.billability == Billability.BILLED and START <= request.time < END

    def invoice_lines(self) -> list[InvoiceLine]:
        """Return the lines in random order."""
        flat = [(request_id, amount) for request_id, amounts in self.lines.items() for amount in amounts]
        self.random.shuffle(flat)
        return [
            InvoiceLine(position=position, request_id=request_id, amount_nano=amount)
            for position, (request_id, amount) in enumerate(flat, start=1)
        ]

    def touch(
        self, billability: Billability = Billability.BILLED, *, all_of_them: bool = False, where=lambda request: True
    ) -> list[MeteredRequest]:
        """Return up to 12 requests (or all) of a billability that no fault has touched, inside the period and off its edges."""
        fit = [
            each
            for each in self.requests
            if each.event_id in self._untouched
            and each.billability == billability
            and START + 15 * HOUR <= each.time < END - 15 * HOUR
            and where(each)
        ]
        chosen = fit if all_of_them else self.random.sample(fit, min(len(fit), self.random.randint(1, 12)))
        self._untouched -= {each.event_id for each in chosen}
        return chosen

    def charge(self, request: MeteredRequest, amount: int, cause: Cause) -> None:
        """Put a different amount on the request's line."""
        before = sum(self.lines.get(self.id_of(request), []))
        self.lines[self.id_of(request)] = [amount]
        self.planted[cause] += amount - before


def missing_there(bill: PlantedBill) -> None:
    for request in bill.touch():
        bill.planted[Cause.MISSING_THERE] -= sum(bill.lines.pop(bill.id_of(request)))


def missing_here(bill: PlantedBill) -> None:
    for number in range(bill.random.randint(1, 9)):
        amount = bill.random.randint(1, 10_000_000_000)
        bill.lines[f"unmetered-{number:06d}"] = [amount]
        bill.planted[Cause.MISSING_HERE] += amount


def duplicates(bill: PlantedBill) -> None:
    for request in bill.touch():
        times = bill.random.randint(1, 3)
        bill.lines[bill.id_of(request)] += times * [request.amount_nano]
        bill.planted[Cause.DUPLICATE_THERE] += times * request.amount_nano


def refunds(bill: PlantedBill) -> None:
    for request in bill.touch():
        part = bill.random.randint(1, request.amount_nano)
        bill.lines[bill.id_of(request)].append(-part)
        bill.planted[Cause.REFUND] -= part


def cached_as_input(bill: PlantedBill) -> None:
    for request in bill.touch(where=lambda each: each.quantities.cache_read_tokens):
        cached = request.quantities.cache_read_tokens
        bill.charge(request, cost_of(request, fresh=cached, cached=-cached), Cause.QUANTITY)


def cached_twice(bill: PlantedBill) -> None:
    for request in bill.touch(where=lambda each: each.quantities.cache_read_tokens):
        bill.charge(request, cost_of(request, fresh=request.quantities.cache_read_tokens), Cause.QUANTITY)


def reasoning_twice(bill: PlantedBill) -> None:
    for request in bill.touch(where=lambda each: each.quantities.reasoning_tokens):
        bill.charge(request, cost_of(request, output=request.quantities.reasoning_tokens), Cause.QUANTITY)


def other_price(bill: PlantedBill) -> None:
    model, number = bill.random.choice([("llama", 2), ("qwen", 4)])
    for request in bill.touch(where=lambda each: each.model == model):
        bill.charge(request, cost_of(request, number), Cause.PRICE)


def cached_as_input_at_another_price(bill: PlantedBill) -> None:
    """Two causes on the same requests: neither alone explains the billed amount."""
    for request in bill.touch(where=lambda each: each.model == "llama" and each.quantities.cache_read_tokens):
        cached = request.quantities.cache_read_tokens
        at_ours = cost_of(request, fresh=cached, cached=-cached)
        bill.charge(request, at_ours, Cause.QUANTITY)
        bill.charge(request, cost_of(request, 2, fresh=cached, cached=-cached), Cause.PRICE)


def marked_up(bill: PlantedBill) -> None:
    """All usage of one or both providers is billed at the same multiple; fewer than three requests would not show it."""
    factor = bill.random.choice(FACTORS)
    providers = bill.random.choice([{"together"}, {"fireworks-ai"}, {"together", "fireworks-ai"}])
    chosen = bill.touch(all_of_them=True, where=lambda each: each.provider in providers)
    for request in chosen if len(chosen) >= 3 else ():
        bill.charge(request, divide_up(request.amount_nano * factor, 10_000), Cause.MARKUP)


def custom_key_billed(bill: PlantedBill) -> None:
    for request in bill.touch(Billability.OTHER_ROUTE):
        bill.charge(request, cost_of(request), Cause.OTHER_ROUTE_BILLED)


def failures_billed(bill: PlantedBill) -> None:
    for request in bill.touch(Billability.FAILED):
        bill.charge(request, cost_of(request), Cause.FAILED_BILLED)


def unpriced_billed(bill: PlantedBill) -> None:
    for request in bill.touch(Billability.UNPRICED):
        bill.charge(request, bill.random.randint(1, 10**9), Cause.UNPRICED_HERE)


def unknown_route_billed(bill: PlantedBill) -> None:
    for request in bill.touch(Billability.UNKNOWN_ROUTE):
        bill.charge(request, bill.random.randint(1, 10**9), Cause.UNKNOWN_ROUTE)


def never_charged(bill: PlantedBill) -> None:
    for request in bill.touch():
        bill.charge(request, 0, Cause.NEVER_CHARGED)


def placeholders(bill: PlantedBill) -> None:
    for request in bill.touch(where=lambda each: abs(each.amount_nano - 10_000_000) > 1):
        bill.charge(request, 10_000_000, Cause.PLACEHOLDER)


def rounding(bill: PlantedBill) -> None:
    for request in bill.touch():
        bill.charge(request, request.amount_nano - bill.random.choice([-1, 1]), Cause.ROUNDING)


def shifted_period(bill: PlantedBill) -> None:
    """The billed month starts and ends some hours off, as in another time zone."""
    shift = bill.random.choice([-12, -8, -5, -2, -1, 1, 2, 5.5, 9, 12])
    start, end = START + int(shift * HOUR), END + int(shift * HOUR)
    out = [each for each in bill.requests if bill.is_expected(each) and not start <= each.time < end]
    extra = [
        each
        for each in bill.requests
        if each.billability == Billability.BILLED and start <= each.time < end and not START <= each.time < END
    ]
    for request in out:
        # Without a line from outside the period nothing shows a shift: the requests are just missing.
        cause = Cause.PERIOD_EDGE if extra else Cause.MISSING_THERE
        bill.planted[cause] -= sum(bill.lines.pop(bill.id_of(request), []))
    for request in extra:
        bill.charge(request, request.amount_nano, Cause.PERIOD_EDGE)


FAULTS = (
    missing_there, missing_here, duplicates, refunds, cached_as_input, cached_twice, reasoning_twice, other_price,
    cached_as_input_at_another_price, marked_up, custom_key_billed, failures_billed, unpriced_billed, unknown_route_billed,
    never_charged, placeholders, rounding, shifted_period,
)  # fmt: skip
