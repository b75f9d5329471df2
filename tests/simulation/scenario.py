"""The steps of a simulated scenario: plain values that both the service and the oracle get.

Independent of the service's types: times are aware datetimes, months are ``YYYYMM``, money is whole nano-USD, a price is whole
pico-USD for a block of units.
"""

from datetime import date, datetime

from msgspec import Struct
from msgspec.structs import fields


class PlanRow(Struct, frozen=True):
    """A plan's terms from a day on; ``fee_cents`` None: unknown. Credits and fees are per seat and month."""

    plan: str
    since: date
    rank: int
    per_seat: bool
    fee_cents: int | None
    credit_nano: int
    invoiced: bool
    pays_elsewhere: bool


# In addition to the real plans, one with a known fee per seat that changes: an unknown fee would test little arithmetic.
CATALOG = (
    PlanRow("free", date(2025, 1, 1), 0, False, 0, 100_000_000, False, False),
    PlanRow("pro", date(2025, 1, 1), 1, False, 9_00, 2_000_000_000, True, False),
    PlanRow("pro", date(2026, 9, 1), 1, False, 9_00, 2_000_000_000, True, True),
    PlanRow("crew", date(2025, 1, 1), 2, True, 20_01, 2_000_000_000, True, False),
    PlanRow("crew", date(2026, 10, 1), 2, True, 21_37, 2_500_000_000, True, True),
    PlanRow("team", date(2025, 1, 1), 3, True, None, 2_000_000_000, True, True),
)


# How the quantities of a record are known.
MEASURED, ESTIMATED, UNSTATED = "measured", "estimated", "unstated"


class Record(Struct, frozen=True):
    """A request as a log records it. A provider that is not known is ``unknown``."""

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
    grade: str = MEASURED


class Action(Struct, frozen=True):
    """Something that happens."""

    def __str__(self) -> str:
        shown = (f"{field.name}={_shown(getattr(self, field.name))}" for field in fields(self))
        return f"{type(self).__name__}({', '.join(shown)})"


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


class RecordElsewhere(Action, frozen=True):
    account: str
    month: int
    nano: int


class Ingest(Action, frozen=True):
    records: tuple[Record, ...]

    def __str__(self) -> str:
        return "Ingest(" + "".join(f"\n        {record}" for record in self.records) + ")"


class Price(Action, frozen=True):
    """A model's prices from an instant on: (pico-USD, block) by kind of quantity; None: withdrawn."""

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


class Correct(Action, frozen=True):
    """Usage of an account gets other values; ``where`` and ``changes`` are (field, value), ``[start, end)`` is the period."""

    account: str
    where: tuple[tuple[str, str], ...]
    changes: tuple[tuple[str, str], ...]
    start: datetime | None
    end: datetime | None


class Withdraw(Action, frozen=True):
    account: str
    source: str | None
    where: tuple[tuple[str, str], ...]
    start: datetime | None


class Undo(Action, frozen=True):
    """The n-th correction or withdrawal is undone; 0 is the first."""

    run: int


class Decide(Action, frozen=True):
    """The n-th conflict, in the order of ``conflict_order``, is accepted or dismissed; 0 is the first."""

    conflict: int
    accept: bool


def conflict_order(account: str, record: Record) -> tuple[object, ...]:
    """Return what conflicts are ordered by: those of one batch are stored in any order."""
    used = {kind: count for kind, count in record.quantities if count}
    return account, record.source, record.id, record.time, record.provider, str(record.status), sorted(used.items())


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
    """An action at an instant. With ``interrupted_at`` it is interrupted before its n-th SQL statement and then repeated."""

    at: datetime
    action: Action
    interrupted_at: int | None = None

    def __str__(self) -> str:
        note = "" if self.interrupted_at is None else f"  [interrupted before statement {self.interrupted_at}, then repeated]"
        return f"{self.at:%Y-%m-%d %H:%M:%S.%f}  {self.action}{note}"


class Scenario(Struct, frozen=True):
    """A scenario: its accounts with their default routes, and its steps."""

    seed: int
    accounts: tuple[tuple[str, str], ...]
    steps: tuple[Step, ...]

    def __str__(self) -> str:
        known = ", ".join(f"{name} ({route or 'no default route'})" for name, route in self.accounts)
        return "\n".join([f"seed {self.seed}, accounts {known}", *(f"{at:4}  {step}" for at, step in enumerate(self.steps))])


def _shown(value: object) -> str:
    return value.isoformat() if isinstance(value, date) else repr(value)
