"""Random scenarios: each seed makes one, always the same. Many instants are where rules change, or just before."""

from datetime import date, datetime, timedelta
from random import Random

from msgspec.structs import replace

from simulation.oracle_credits import begin, end
from simulation.oracle_plans import following, month_of, terms
from simulation.scenario import (
    ESTIMATED,
    UNSTATED,
    Action,
    Adjust,
    Close,
    CloseDue,
    Correct,
    Decide,
    Grant,
    Ingest,
    Price,
    RateUnpriced,
    Record,
    RecordElsewhere,
    Rerate,
    Restart,
    Scenario,
    SetPlan,
    Step,
    Undo,
    Void,
    Withdraw,
)

MICROSECOND = timedelta(microseconds=1)
USD = 1_000_000_000
UNDECLARED = "undeclared"
EARLIEST = begin(202601)

Prices = tuple[tuple[str, tuple[int, int]], ...]

# (provider, model, initial prices: (pico-USD, block) by kind of quantity)
MODELS: tuple[tuple[str, str, Prices | None], ...] = (
    ("together", "llama", (("input_tokens", (880_000, 1)), ("output_tokens", (880_000, 1)))),
    (
        "fireworks-ai",
        "qwen",
        (("input_tokens", (37_500, 1)), ("cache_read_tokens", (3_750, 1)), ("output_tokens", (1_200_000, 1))),
    ),
    ("hf-inference", "minilm", (("compute_ms", (432_000_000_001, 3_600_000)),)),
    ("novita", "unlisted", None),
)


class ScenarioMaker:
    """Makes the steps of a scenario, and remembers what later steps refer to."""

    def __init__(self, seed: int) -> None:
        self.random = Random(seed)
        self.now = begin(self.random.choice([202608, 202609, 202611])) + self._random_span(timedelta(days=20))
        routes = ["", "routed", "provider_key"]
        self.accounts = tuple((f"a{number}", self.random.choice(routes)) for number in range(self.random.choice([1, 1, 2])))
        self.records: list[Record] = []
        self.granted: list[tuple[str, str]] = []
        # In some scenarios nearly everything is about what was recorded before.
        self.repeats = self.random.choice([15, 30, 60])
        self.numbers = 0
        self.runs = 0

    def step(self) -> Step:
        """Return the next step, some time after the last one."""
        self._advance_time()
        makers = {
            self._ingest: 36, self._close: 15, self._close_due: 6, self._plan: 8, self._grant: 8, self._adjust: 8,
            self._price: 7, self._rate: 3, self._rerate: 6, self._void: 4, self._elsewhere: 4, self._restart: 1,
            self._correct: 6, self._withdraw: 4, self._undo: 6, self._decide: self.repeats // 8,
        }  # fmt: skip
        maker = self.random.choices(list(makers), list(makers.values()))[0]
        interrupted_at = self.random.choice([1, 2, 3, 5, 8, 13, 21, 34]) if self._chance(15) else None
        return Step(self.now, maker(), interrupted_at)

    def first_prices(self) -> list[Step]:
        """Return the steps that record the initial prices."""
        return [
            Step(self.now, Price(None, provider, model, EARLIEST, prices, then_rate=False))
            for provider, model, prices in MODELS
            if prices is not None
        ]

    def _advance_time(self) -> None:
        following_month = end(self._month())
        jumps = [
            self.now + self._random_span(timedelta(hours=3)),
            self.now + self._random_span(timedelta(days=3)),
            self.now + self._random_span(timedelta(days=9)),
            following_month - MICROSECOND,
            following_month,
            following_month + timedelta(hours=72) - MICROSECOND,
            following_month + timedelta(hours=72),
        ]
        self.now = max(self.now, self.random.choices(jumps, [40, 36, 12, 3, 3, 3, 3])[0])

    def _ingest(self) -> Action:
        return Ingest(tuple(self._record() for _ in range(self.random.randint(1, 5))))

    def _record(self) -> Record:
        if self.records and self._chance(self.repeats):
            return self._repeated(self.random.choice(self.records[-12:] if self._chance(60) else self.records))
        provider, model, _ = self.random.choices(MODELS, [3, 2, 2, 3])[0]
        record = Record(
            id=f"r{self._number()}",
            account=UNDECLARED if self._chance(3) else self._account(),
            time=self._time_of_event(),
            provider=provider,
            model=model,
            route=self.random.choices(["", "routed", "provider_key", "unknown"], [20, 65, 10, 5])[0],
            status=self.random.choices([200, 302, 500, 429, None], [70, 5, 8, 5, 12])[0],
            quantities=self._quantities(model),
            response_id=f"{self.random.getrandbits(80):020x}" if self._chance(30) else "",
            reported_nano=self.random.randint(0, USD) if self._chance(8) else None,
        )
        self.records.append(record)
        return self._with_gaps(record) if self._chance(30) else record

    def _repeated(self, record: Record) -> Record:
        """Return a record again: unchanged, with gaps, with different content, for another account, or from another source."""
        return self.random.choice([
            record,
            record,
            self._with_gaps(record),
            self._with_gaps(record),
            replace(record, quantities=(("input_tokens", self.random.randint(1, 10**6)),)),
            replace(record, status=500),
            replace(record, account=self._account()),
            replace(record, source="proxy", id=f"p{record.id}"),
            self._with_gaps(replace(record, source="proxy", id=f"p{record.id}")),
        ])  # fmt: skip

    def _with_gaps(self, record: Record) -> Record:
        """Return a record as a logger writes it that does not know everything yet, some of them a little earlier."""
        if self._chance(50):
            record = replace(record, quantities=(), grade=UNSTATED)
        elif self._chance(30):
            record = replace(record, quantities=self._quantities(record.model), grade=ESTIMATED)
        elif self._chance(30):
            record = replace(record, quantities=record.quantities[:1])
        if self._chance(40):
            record = replace(record, provider="unknown")
        if self._chance(30):
            record = replace(record, route="")
        if self._chance(30):
            record = replace(record, status=None)
        if self._chance(15):
            record = replace(record, time=record.time - self._random_span(timedelta(minutes=self.random.choice([1, 30, 90]))))
        return record

    def _correct(self) -> Action:
        self.runs += 1
        provider, model, _ = self.random.choice(MODELS)
        where = self.random.choice([
            (("provider", "unknown"),), (("provider", provider),), (("model", model),), (("route", "unknown"),), (),
        ])  # fmt: skip
        route = self.random.choice(["routed", "provider_key", "serverless"])
        other = self.random.choice(MODELS)
        changes = self.random.choice([
            (("provider", provider), ("route", route)), (("route", route),), (("provider", other[0]), ("model", other[1])),
        ])  # fmt: skip
        start = self._time_of_event() if self._chance(30) else None
        end = None if start is None or self._chance(50) else start + timedelta(days=self.random.randint(1, 20))
        return Correct(self._account(), where, changes, start, end)

    def _withdraw(self) -> Action:
        _, model, _ = self.random.choice(MODELS)
        source = self.random.choice(["gateway", "proxy", "proxy", None])
        where = self.random.choice([(), (("model", model),), (("provider", "unknown"),)])
        return Withdraw(self._account(), source, where, self._time_of_event() if self._chance(70) else None)

    def _undo(self) -> Action:
        return Undo(self.random.randint(0, self.runs))

    def _decide(self) -> Action:
        return Decide(self.random.choice([0, 0, 0, 1, 1, 2, 4]), self._chance(80))

    def _quantities(self, model: str) -> tuple[tuple[str, int], ...]:
        if model == "minilm":
            return (("compute_ms", self.random.choice([0, 1, 10_000, 9_000_000])),)
        size = self.random.choice([1, 1, 1_000, 100_000, 1_000_000, 8_000_000])
        kinds = ["input_tokens", "output_tokens", "cache_read_tokens"]
        used = [(kind, self.random.randint(0, size)) for kind in kinds if self._chance(60)]
        return (*used, ("images", 1)) if self._chance(3) else tuple(used)

    def _plan(self) -> Action:
        first = date(self._month() // 100, self._month() % 100, 1)
        near = self.now.date() + timedelta(days=self.random.randint(-40, 20))
        day = self.random.choice([first, self.now.date(), self.now.date(), near, end(self._month()).date()])
        plan = self.random.choice(["free", "pro", "pro", "crew", "crew", "team"])
        has_seats = terms(plan, day).per_seat or self._chance(10)
        seats = 0 if self._chance(4) else self.random.choice([1, 1, 2, 5]) if has_seats else 1
        return SetPlan(self._account(), day, plan, seats)

    def _grant(self) -> Action:
        granted_at = self.random.choice([self.now, self.now, begin(self._month()), self._time_of_event()])
        expires_at = self.random.choice([
            None, None, end(month_of(granted_at.date())), granted_at + timedelta(days=self.random.randint(0, 70)),
            end(following(month_of(granted_at.date()))), end(self._month()),
        ])  # fmt: skip
        account, reference = self._account(), f"g{self._number()}"
        if self.granted and self._chance(10):
            account, reference = self.random.choice(self.granted)
        self.granted.append((account, reference))
        kind = self.random.choice(["purchased", "purchased", "promotional", "manual"])
        return Grant(account, kind, self._amount(), granted_at, expires_at, reference)

    def _void(self) -> Action:
        account, reference = self.random.choice(self.granted) if self.granted else (self._account(), "never")
        return Void(account, reference, self.random.choice([None, None, 1, self._amount()]))

    def _elsewhere(self) -> Action:
        nano = self._amount() if self._chance(75) else -self.random.choice([1, 50_000_000, self._amount()])
        return RecordElsewhere(self._account(), self._recent_month(), nano)

    def _adjust(self) -> Action:
        nano = 0 if self._chance(3) else self._amount() * self.random.choice([1, -1, -1])
        month = following(self._month()) if self._chance(4) else self._recent_month()
        return Adjust(self._account(), month, nano, f"d{self.random.randint(1, 12)}")

    def _price(self) -> Action:
        # Late prices keep months open and cause corrections.
        provider, model, prices = self.random.choices(MODELS, [1, 1, 1, 3])[0]
        prices = prices or (("input_tokens", (250_000, 1)), ("output_tokens", (1_000_000, 1)))
        scaled = tuple(
            (kind, (pico * self.random.choice([0, 50, 90, 100, 118, 250]) // 100, block)) for kind, (pico, block) in prices
        )
        account = self._account() if self._chance(25) else None
        gone = account is None and self._chance(8)
        since = self.random.choice([EARLIEST, begin(self._month()), *(self._time_of_event() for _ in range(4))])
        return Price(account, provider, model, since, None if gone else scaled, self._chance(60))

    def _rate(self) -> Action:
        return RateUnpriced(self._account() if self._chance(30) else None)

    def _rerate(self) -> Action:
        return Rerate(self._account() if self._chance(40) else None, self._chance(40))

    def _close(self) -> Action:
        month = self._month()
        before = month - 1 if month % 100 > 1 else (month // 100 - 1) * 100 + 12
        wanted = self.random.choices([before, month, self._recent_month(), following(month)], [80, 6, 10, 4])[0]
        return Close(self._account(), wanted, self._chance(70), self._chance(60))

    def _close_due(self) -> Action:
        return CloseDue(self._chance(50))

    def _restart(self) -> Action:
        return Restart()

    def _time_of_event(self) -> datetime:
        """Return an instant up to now: mostly in this month, sometimes earlier, sometimes at the edge of a month."""
        first = begin(self._recent_month())
        late = min(self.now, first + self._random_span(timedelta(days=28)))
        edges = [first, first - MICROSECOND, min(self.now, end(self._month()) - MICROSECOND)]
        recent = max(begin(self._month()), self.now - self._random_span(timedelta(days=10)))
        return self.random.choices([recent, late, self.random.choice(edges), self.now], [34, 46, 14, 6])[0]

    def _recent_month(self) -> int:
        """Return this month or one of the three before."""
        month = self._month()
        for _ in range(self.random.choices([0, 1, 2, 3], [18, 50, 21, 11])[0]):
            month = month - 1 if month % 100 > 1 else (month // 100 - 1) * 100 + 12
        return month

    def _month(self) -> int:
        return month_of(self.now.date())

    def _account(self) -> str:
        return self.random.choice(self.accounts)[0]

    def _amount(self) -> int:
        return self.random.choice(
            [1, 99_999_999, 100_000_000, USD // 2, 2 * USD, 3 * USD + 1, 10 * USD, self.random.randint(1, 9 * USD)]
        )

    def _number(self) -> int:
        self.numbers += 1
        return self.numbers

    def _chance(self, percent: int) -> bool:
        return self.random.randrange(100) < percent

    def _random_span(self, most: timedelta) -> timedelta:
        return timedelta(microseconds=self.random.randrange(most // MICROSECOND))


def random_scenario(seed: int, steps: int = 32) -> Scenario:
    """Return the scenario of a seed."""
    maker = ScenarioMaker(seed)
    return Scenario(seed, maker.accounts, (*maker.first_prices(), *(maker.step() for _ in range(steps))))
