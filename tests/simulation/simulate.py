"""A life lived twice, by the service and by the oracle; what differs is told, and what must hold at every step is looked at."""

import hashlib
import traceback
from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta

from msgspec import Struct
from sqlalchemy import Engine

from metering.operations.upkeep.verify import CHECKS, STATEMENT_CHECKS, Check
from simulation.expected import INCLUDED
from simulation.oracle import BILLED, Account
from simulation.oracle_life import Oracle
from simulation.oracle_plans import month_of
from simulation.script import Close, CloseDue, Grant, NoteElsewhere, Script, Step, Void
from simulation.service import Service, figures_of, left_by_ledger, paid_by_ledger

LOOK_EVERY = 10  # steps: statements and the ledger are recomputed from the facts
VERIFY_EVERY = 4  # lives: everything is, at the end
CENT_PICO = 10_000_000_000
MOVES_CREDITS = (Close, CloseDue, Grant, Void, NoteElsewhere)


class Failure(Struct, frozen=True):
    """What was not as it must be, after which step of a life."""

    script: Script
    step: int
    problems: tuple[str, ...]

    @property
    def kind(self) -> str:
        """What the first problem is about, without its figures: a life is made short as long as this stays."""
        return "".join(letter for letter in self.problems[0].split(": expected")[0] if not letter.isdigit())

    def __str__(self) -> str:
        upto = Script(self.script.seed, self.script.accounts, self.script.steps[: self.step + 1])
        return "\n".join([str(upto), "", f"After step {self.step}:", *(f"  {problem}" for problem in self.problems)])


def simulate(script: Script, engine: Engine) -> Failure | None:
    """Live a life on an empty database; return the first thing that is wrong."""
    oracle = Oracle(script.accounts)
    service = Service(engine, script.accounts, script.steps[0].at)
    witness = _Witness(service, oracle, CHECKS if script.seed % VERIFY_EVERY == 0 else STATEMENT_CHECKS)
    for number, step in enumerate(script.steps):
        try:
            expected, answer = oracle.do(step.action, step.at), service.do(step)
            problems = [] if expected == answer else [f"answer: expected {expected}, got {answer}"]
            problems += witness.problems(number, step, is_last=number + 1 == len(script.steps))
        except Exception as error:
            # What breaks the service is told with the life that broke it, like every other difference.
            problems = [f"{type(error).__name__}: {error}", *traceback.format_tb(error.__traceback__)[-3:]]
        if problems:
            return Failure(script, number, tuple(problems))
    return None


class _Witness:
    """Looks at everything after each step, and remembers what was closed."""

    def __init__(self, service: Service, oracle: Oracle, last_checks: tuple[Check, ...]) -> None:
        self._last_checks = last_checks
        self._service = service
        self._oracle = oracle
        self._sealed: dict[tuple[str, int], tuple[str, str]] = {}

    def problems(self, number: int, step: Step, *, is_last: bool) -> list[str]:
        """Say what is wrong. Of accounts that a step is not about only what must not have changed is looked at."""
        found = [*self._closed(), *self._overdrawn()]
        about = getattr(step.action, "account", None)
        month = month_of(step.at.date())
        events = self._service.billed()
        for account in self._oracle.accounts.values():
            if is_last:
                found += self._open(account, max(month, account.next_open or 0), events)
            elif about in (None, account.name):
                found += self._open(account, account.next_open or 0, events)
            if is_last or (isinstance(step.action, MOVES_CREDITS) and about in (None, account.name)):
                found += self._ledger(account)
            if is_last or (isinstance(step.action, Void) and about == account.name):
                found += self._balance(account, step.at + timedelta(microseconds=1))
        if is_last and self._service.told() != sorted(self._sealed):
            found.append(f"told as closed: expected each once of {sorted(self._sealed)}, got {self._service.told()}")
        if is_last or number % LOOK_EVERY == 0:
            checks = self._last_checks if is_last else STATEMENT_CHECKS
            found += [f"verify: {violation}" for violation in self._service.violations(checks)]
        return found

    def _closed(self) -> Iterator[str]:
        """Closed statements are those that were to be closed, with the right figures, and stay what they were."""
        kept = self._service.closed()
        wanted = {(account.name, month) for account in self._oracle.accounts.values() for month in account.closed}
        if kept.keys() != wanted:
            yield f"closed months: expected {sorted(wanted)}, got {sorted(kept)}"
            return
        for (name, month), (content, digest) in kept.items():
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
        """Drafts through a month are what the oracle says; with all of them, all statements together are all requests."""
        if account.next_open is None:
            return
        billed = sum(sum(figures.usage.values()) for figures in account.closed.values())
        for month, expected, _ in account.statements(through):
            statement = self._service.statement(account.name, month)
            billed += statement.usage_nano
            yield from _compared(f"{account.name} {month}, draft", expected, statement)
        later = sum(
            nano for event in account.events for month, nano in event.billed if month > through and event.route in BILLED
        )
        if billed + later != events.get(account.name, 0):
            yield f"{account.name}: statements come to {billed} and {later}, requests to {events}"

    def _balance(self, account: Account, at: datetime) -> Iterator[str]:
        expected, left = account.balance(at), self._service.balance(account.name, at)
        if expected != left:
            yield f"{account.name}: balance: expected {expected}, got {left}"

    def _ledger(self, account: Account) -> Iterator[str]:
        """No grant was ever below zero, each has paid what it should have, and what nobody used in time is gone."""
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
