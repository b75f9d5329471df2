"""Run a scenario through the service and the oracle, compare them, and check invariants at every step."""

import hashlib
import re
import traceback
from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta

from msgspec import Struct
from sqlalchemy import Engine

from metering.operations.upkeep.verify import CHECKS, STATEMENT_CHECKS, Check
from simulation.expected import INCLUDED
from simulation.figures import figures_of, left_by_ledger, paid_by_ledger
from simulation.oracle import BILLED, Account
from simulation.oracle_actions import Oracle
from simulation.oracle_plans import month_of
from simulation.scenario import Close, CloseDue, Grant, RecordElsewhere, Scenario, Step, Void
from simulation.service import Service

CHECK_EVERY = 10  # steps: statements and the ledger are verified
VERIFY_EVERY = 4  # scenarios: everything is verified at the end
_COUNT = re.compile(r"'(\w+)': (\d+)")
CENT_PICO = 10_000_000_000
CREDIT_ACTIONS = (Close, CloseDue, Grant, Void, RecordElsewhere)


class Failure(Struct, frozen=True):
    """The first wrong step of a scenario, and what is wrong."""

    scenario: Scenario
    step: int
    problems: tuple[str, ...]

    @property
    def kind(self) -> str:
        """The first problem without its figures; shortening a scenario preserves it."""
        return "".join(letter for letter in self.problems[0].split(": expected")[0] if not letter.isdigit())

    def __str__(self) -> str:
        until = Scenario(self.scenario.seed, self.scenario.accounts, self.scenario.steps[: self.step + 1])
        return "\n".join([str(until), "", f"After step {self.step}:", *(f"  {problem}" for problem in self.problems)])


def simulate(scenario: Scenario, engine: Engine) -> Failure | None:
    """Run a scenario on an empty database; return the first failure."""
    oracle = Oracle(scenario.accounts)
    service = Service(engine, scenario.accounts, scenario.steps[0].at)
    checker = _Checker(service, oracle, CHECKS if scenario.seed % VERIFY_EVERY == 0 else STATEMENT_CHECKS)
    for number, step in enumerate(scenario.steps):
        try:
            expected, answer = oracle.do(step.action, step.at), service.do(step)
            is_right = _once_more(expected) == _once_more(answer) if step.interrupted_at else expected == answer
            problems = [] if is_right else [f"answer: expected {expected}, got {answer}"]
            problems += checker.problems(number, step, is_last=number + 1 == len(scenario.steps))
        except Exception as error:
            # A crash is reported with its scenario, like every other difference.
            problems = [f"{type(error).__name__}: {error}", *traceback.format_tb(error.__traceback__)[-3:]]
        if problems:
            return Failure(scenario, number, tuple(problems))
    return None


def _once_more(answer: str) -> str:
    """Return an answer as after an interruption: some records of an ingest may be stored already, so they are duplicates."""
    counts = dict(_COUNT.findall(answer))
    return f"{counts.pop('conflict')} of {sum(map(int, counts.values()))}" if "duplicate" in counts else answer


class _Checker:
    """Checks the service after each step, and remembers closed statements."""

    def __init__(self, service: Service, oracle: Oracle, last_checks: tuple[Check, ...]) -> None:
        self._last_checks = last_checks
        self._service = service
        self._oracle = oracle
        self._sealed: dict[tuple[str, int], tuple[str, str]] = {}

    def problems(self, number: int, step: Step, *, is_last: bool) -> list[str]:
        """Return what is wrong. For accounts that the step is not about, only check that closed statements are unchanged."""
        found = [*self._closed(), *self._overdrawn()]
        about = getattr(step.action, "account", None)
        month = month_of(step.at.date())
        events = self._service.billed()
        for account in self._oracle.accounts.values():
            if is_last:
                found += self._open(account, max(month, account.next_open or 0), events)
            elif about in (None, account.name):
                found += self._open(account, account.next_open or 0, events)
            if is_last or (isinstance(step.action, CREDIT_ACTIONS) and about in (None, account.name)):
                found += self._ledger(account)
            if is_last or (isinstance(step.action, Void) and about == account.name):
                found += self._balance(account, step.at + timedelta(microseconds=1))
        if is_last and self._service.closed_alerts() != sorted(self._sealed):
            found.append(
                f"alerts about closing: expected one for each of {sorted(self._sealed)}, got {self._service.closed_alerts()}"
            )
        if is_last or number % CHECK_EVERY == 0:
            checks = self._last_checks if is_last else STATEMENT_CHECKS
            found += [f"verify: {violation}" for violation in self._service.violations(checks)]
        return found

    def _closed(self) -> Iterator[str]:
        """Exactly the expected statements are closed, with the right figures, and they never change."""
        stored = self._service.closed()
        wanted = {(account.name, month) for account in self._oracle.accounts.values() for month in account.closed}
        if stored.keys() != wanted:
            yield f"closed months: expected {sorted(wanted)}, got {sorted(stored)}"
            return
        for (name, month), (content, digest) in stored.items():
            sealed = self._sealed.setdefault((name, month), (content, digest))
            if sealed != (content, digest):
                yield f"{name} {month}: changed since it was closed"
            elif sealed[0] is content:
                if hashlib.sha256(content.encode()).hexdigest() != digest:
                    yield f"{name} {month}: the digest is not that of the content"
                closed = self._service.statement(name, month)
                yield from _compared(f"{name} {month}, closed", self._oracle.accounts[name].closed[month], closed)

    def _overdrawn(self) -> Iterator[str]:
        yield from (f"grant overdrawn: {grant}" for grant in self._service.overdrawn())

    def _open(self, account: Account, through: int, events: Mapping[str, int]) -> Iterator[str]:
        """Drafts match the oracle; all statements together add up to all requests."""
        if account.next_open is None:
            return
        billed = sum(sum(figures.usage.values()) for figures in account.closed.values())
        for month, expected, _ in account.statements(through):
            statement = self._service.statement(account.name, month)
            billed += statement.usage_nano
            yield from _compared(f"{account.name} {month}, draft", expected, statement)
        later = sum(
            nano for event in account.events for month, route, nano in event.billed if month > through and route in BILLED
        )
        if billed + later != events.get(account.name, 0):
            yield f"{account.name}: statements add up to {billed} and {later}, requests to {events}"

    def _balance(self, account: Account, at: datetime) -> Iterator[str]:
        expected, left = account.balance(at), self._service.balance(account.name, at)
        if expected != left:
            yield f"{account.name}: balance: expected {expected}, got {left}"

    def _ledger(self, account: Account) -> Iterator[str]:
        """No grant was ever negative, each paid what it should, and unused credits expired."""
        rows = self._service.ledger(account.name)
        yield from (f"{account.name}: entry {row.entry} leaves {row.left_nano}" for row in rows if row.left_nano < 0)
        paid = paid_by_ledger(rows)
        if paid != account.posted:
            yield f"{account.name}: credits paid by the ledger: expected {account.posted}, got {paid}"
        left = left_by_ledger(rows)
        for grant in account.grants:
            taken = sum(nano for (reference, _), nano in account.posted.items() if reference == grant.reference)
            expected = 0 if grant.is_over else grant.nano - grant.voided - taken
            if left.get(grant.reference) != expected:
                yield f"{account.name}: left of {grant.reference}: expected {expected}, got {left.get(grant.reference)}"
        yield from (f"{account.name}: {key} has {nano} left" for key, nano in left.items() if key.startswith(INCLUDED) and nano)


def _compared(where, expected, statement) -> Iterator[str]:
    yield from (f"{where}: {difference}" for difference in expected.differences(figures_of(statement)))
    *parts, total = [line.amount_pico or 0 for line in statement.lines]
    if sum(parts) != total or total != statement.total_cents * CENT_PICO or total < 0:
        yield f"{where}: lines add up to {sum(parts)} pico-USD, the total is {total}"
