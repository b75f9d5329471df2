"""What happens in a simulated life, step by step: plain values that service and oracle are both told.

Nothing in here is taken from the service: times are aware datetimes, months are ``YYYYMM``, money is whole nano-USD, a price is
whole pico-USD for a block of units.
"""

from datetime import date, datetime

from msgspec import Struct
from msgspec.structs import fields


class PlanRow(Struct, frozen=True):
    """One plan's terms from a day on; ``fee_cents`` None is unknown. Credits and fees are per seat and month."""

    plan: str
    since: date
    rank: int
    per_seat: bool
    fee_cents: int | None
    credit_nano: int
    invoiced: bool
    pays_elsewhere: bool


# Beside the plans that there are, one whose fee goes by the seat and changes: an unknown fee shows little of the arithmetic.
CATALOGUE = (
    PlanRow("free", date(2025, 1, 1), 0, False, 0, 100_000_000, False, False),
    PlanRow("pro", date(2025, 1, 1), 1, False, 9_00, 2_000_000_000, True, False),
    PlanRow("pro", date(2026, 9, 1), 1, False, 9_00, 2_000_000_000, True, True),
    PlanRow("crew", date(2025, 1, 1), 2, True, 20_01, 2_000_000_000, True, False),
    PlanRow("crew", date(2026, 10, 1), 2, True, 21_37, 2_500_000_000, True, True),
    PlanRow("team", date(2025, 1, 1), 3, True, None, 2_000_000_000, True, True),
)


class Record(Struct, frozen=True):
    """A request as a log tells it."""

    id: str
    account: str
    time: datetime
    provider: str
    model: str
    route: str
    status: int | None
    quantities: tuple[tuple[str, int], ...]
    source: str = "gateway"
    response_id: str = ""
    reported_nano: int | None = None


class Action:
    """Something that somebody does."""

    __slots__ = ()

    def __str__(self) -> str:
        told = (f"{field.name}={_told(getattr(self, field.name))}" for field in fields(self))
        return f"{type(self).__name__}({', '.join(told)})"


class SetPlan(Action, frozen=True):
    account: str
    day: date
    plan: str
    seats: int


class Grant(Action, frozen=True):
    account: str
    kind: str
    nano: int
    granted_at: datetime
    expires_at: datetime | None
    reference: str


class Void(Action, frozen=True):
    account: str
    reference: str
    nano: int | None


class NoteElsewhere(Action, frozen=True):
    account: str
    month: int
    nano: int


class Ingest(Action, frozen=True):
    records: tuple[Record, ...]

    def __str__(self) -> str:
        return "Ingest(" + "".join(f"\n        {record}" for record in self.records) + ")"


class Price(Action, frozen=True):
    """A model's prices from an instant on: (pico-USD, block) by kind of quantity; None: it has none any more."""

    account: str | None
    provider: str
    model: str
    since: datetime
    prices: tuple[tuple[str, tuple[int, int]], ...] | None
    then_rate: bool


class RateUnpriced(Action, frozen=True):
    account: str | None


class Rerate(Action, frozen=True):
    account: str | None
    include_reported: bool


class Adjust(Action, frozen=True):
    account: str
    month: int
    nano: int
    reference: str


class Close(Action, frozen=True):
    account: str
    month: int
    allow_unpriced: bool
    with_earlier: bool


class CloseDue(Action, frozen=True):
    allow_unpriced: bool


class Restart(Action, frozen=True):
    pass


class Step(Struct, frozen=True):
    """An action at an instant. With ``interrupted_at`` it is broken off before its n-th statement, and done again."""

    at: datetime
    action: Action
    interrupted_at: int | None = None

    def __str__(self) -> str:
        broken = (
            "" if self.interrupted_at is None else f"  [broken off before statement {self.interrupted_at}, then done again]"
        )
        return f"{self.at:%Y-%m-%d %H:%M:%S.%f}  {self.action}{broken}"


class Script(Struct, frozen=True):
    """A life: its accounts with the routes of requests whose records do not say, and what happens."""

    seed: int
    accounts: tuple[tuple[str, str], ...]
    steps: tuple[Step, ...]

    def __str__(self) -> str:
        known = ", ".join(f"{name} ({route or 'no default route'})" for name, route in self.accounts)
        return "\n".join([f"seed {self.seed}, accounts {known}", *(f"{at:4}  {step}" for at, step in enumerate(self.steps))])


def _told(value: object) -> str:
    return value.isoformat() if isinstance(value, date) else repr(value)
