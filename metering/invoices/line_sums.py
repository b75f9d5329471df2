"""Sums of the lines of a document as they are read: of all, of those below the last subtotal, by model, provider and day.

Lines with an amount and lines with quantities only are summed apart; the latter by the sum of their counts.
"""

from collections.abc import Iterable
from typing import NamedTuple

from metering.domain.instants import date_of
from metering.domain.reconciliation.invoices import InvoiceLine

MAX_BOUNDARIES = 100_000
MAX_KEYS = 5_000
MAX_SEARCHES = 10_000
"""Sums by what rows are about are found by a search. Documents with more of them are hostile."""

_NEAREST_BOUNDARIES = 32


class Match(NamedTuple):
    """How many lines add up to an amount, and whether exactly or only if each of them is rounded."""

    lines: int
    is_exact: bool


class _Sum(NamedTuple):
    """A sum of lines and their number."""

    value: int = 0
    lines: int = 0


_Key = tuple[bool, str, str, str, int | None]
"""Whether lines have amounts, and what they are about: provider, model, session and day."""


class LineSums:
    """The sums of what was added. A boundary is where a subtotal stood: the lines below it belong to the next one."""

    def __init__(self) -> None:
        self._value = {True: 0, False: 0}
        self._lines = {True: 0, False: 0}
        self._boundaries: dict[bool, dict[int, int]] = {True: {0: 0}, False: {0: 0}}
        self._by_key: dict[_Key, list[int]] = {}
        self._searches = 0

    @property
    def lines(self) -> int:
        """The number of all lines."""
        return self._lines[True] + self._lines[False]

    def add(self, line: InvoiceLine) -> None:
        """Add a line."""
        value = line.amount_nano
        has_amount = value is not None
        if value is None:
            value = _value(line)[1]
        self._value[has_amount] += value
        self._lines[has_amount] += 1
        if line.request_id:
            return  # a bill has no sums of requests by model, and there are millions of requests
        key = (has_amount, line.provider, line.model, line.session, line.day)
        known = self._by_key.get(key)
        if known is not None:
            known[0] += value
            known[1] += 1
        elif len(self._by_key) < MAX_KEYS:
            self._by_key[key] = [value, 1]

    def so_far(self, line: InvoiceLine) -> tuple[int, int]:
        """Return (number of lines, their sum), of those with an amount if the line has one, otherwise of those without."""
        total = self._total(_value(line)[0])
        return total.lines, total.value

    def _total(self, has_amount: bool) -> _Sum:
        return _Sum(self._value[has_amount], self._lines[has_amount])

    def mark_boundary(self) -> None:
        """Note that a row that is the sum of others stood here."""
        for has_amount, known in self._boundaries.items():
            total = self._total(has_amount)
            known.pop(total.value, None)
            known[total.value] = total.lines
            if len(known) > MAX_BOUNDARIES:
                del known[next(iter(known))]

    def match(self, line: InvoiceLine, unit_nano: int, line_unit_nano: int, about: str) -> Match | None:
        """Return which lines above add up to a row; None if none do. ``about`` is what its label names, if anything.

        Its own amount may be rounded to its unit, and then is the exact sum; the amounts of the lines may each be rounded.
        """
        has_amount, value = _value(line)
        total = self._total(has_amount)
        if not total.lines:
            return None
        below = self._boundaries[has_amount].get(total.value - value)
        if below is not None and total.lines > below:
            return Match(total.lines - below, is_exact=True)
        own = unit_nano // 2 if has_amount and unit_nano > line_unit_nano else 0
        each = line_unit_nano // 2 if has_amount else 0
        nearest = list(self._boundaries[has_amount].items())[-_NEAREST_BOUNDARIES:]
        sums = [total, *(_Sum(total.value - before, total.lines - lines) for before, lines in reversed(nearest))]
        sums += self._about(line, about)
        exact = [found.lines for found in sums if found.lines and abs(found.value - value) <= own]
        if exact:
            return Match(exact[0], is_exact=True)
        near = [found.lines for found in sums if found.lines and abs(found.value - value) <= own + each * found.lines]
        return Match(near[0], is_exact=False) if near else None

    def match_below(self, line: InvoiceLine, before: int, seen: int, about: str) -> int:
        """Return how many lines add up to a row above them: all, those below it, or those its label names; 0 if none do."""
        has_amount, value = _value(line)
        total = self._total(has_amount)
        ends = [_Sum(at, lines) for at, lines in self._boundaries[has_amount].items() if lines > seen]
        sums = [total, *(_Sum(end.value - before, end.lines - seen) for end in [*ends[:_NEAREST_BOUNDARIES], total])]
        sums += self._about(line, about)
        return next((found.lines for found in sums if found.lines and found.value == value), 0)

    def _about(self, line: InvoiceLine, about: str) -> list[_Sum]:
        """Return the sum of the lines with all that a row states, and of those that its label names."""
        self._searches += 1
        if self._searches > MAX_SEARCHES:
            return []
        has_amount, _ = _value(line)
        kept = [(key, _Sum(*total)) for key, total in self._by_key.items() if key[0] == has_amount]
        stated = (line.provider, line.model, line.session, line.day)
        found = []
        if any(each not in ("", None) for each in stated):
            found.append(_added(total for key, total in kept if _has_all(key, stated)))
        if about:
            found.append(_added(total for key, total in kept if _is_about(key, about)))
        return found


def _has_all(key: _Key, stated: tuple[str, str, str, int | None]) -> bool:
    return all(wanted in ("", None) or wanted == own for own, wanted in zip(key[1:], stated, strict=True))


def _is_about(key: _Key, about: str) -> bool:
    _, provider, model, session, day = key
    names = {provider.casefold(), model.casefold(), session.casefold()}
    return about in names or (day is not None and date_of(day).isoformat() == about)


def _added(sums: Iterable[_Sum]) -> _Sum:
    value = lines = 0
    for each in sums:
        value, lines = value + each.value, lines + each.lines
    return _Sum(value, lines)


def _value(line: InvoiceLine) -> tuple[bool, int]:
    if line.amount_nano is not None:
        return True, line.amount_nano
    return False, sum(line.quantities.values()) or (line.requests or 0)
