"""Sums of both sides at the finest level of detail that an invoice states: by session, day, provider, model, or in total."""

import json
from collections.abc import Iterable
from typing import NamedTuple

from msgspec import Struct, field

from metering.domain.reconciliation.invoices import InvoiceLine
from metering.domain.reconciliation.requests import Billability
from pricing.quantities import Quantities
from pricing.rates import Rate

DIMENSIONS = ("session", "day", "provider", "model")


class MeteredUsage(Struct, frozen=True, kw_only=True):
    """Metered usage of one kind, added up: nano-USD, requests, quantities. ``session`` as by ``session_of``."""

    day: int
    provider: str
    model: str
    billability: int
    requests: int
    quantities: Quantities
    amount_nano: int
    session: str = ""
    rate: Rate | None = None


class EdgeUsage(NamedTuple):
    """Billed usage near the edges of the period, by hour (hours since 1970)."""

    hour: int
    session: str
    provider: str
    model: str
    requests: int
    amount_nano: int


class GroupKey(NamedTuple):
    """What a group is about. Dimensions that the invoice does not state are empty, the day -1."""

    session: str = ""
    day: int = -1
    provider: str = ""
    model: str = ""


class InvoicedUsage(Struct):
    """What an invoice states of a group; None where no line states it. ``position`` is that of the group's first line."""

    amount_nano: int | None = None
    requests: int | None = None
    quantities: dict[str, int] = field(default_factory=dict)
    lines: int = 0
    position: int = 0

    def add(self, line: InvoiceLine) -> None:
        """Add a line."""
        self.lines += 1
        self.position = self.position or line.position
        if line.amount_nano is not None:
            self.amount_nano = (self.amount_nano or 0) + line.amount_nano
        if line.requests is not None:
            self.requests = (self.requests or 0) + line.requests
        for kind, count in line.quantities.items():
            self.quantities[kind] = self.quantities.get(kind, 0) + count


class UsageGroup(Struct):
    """Both sides of a group."""

    theirs: InvoicedUsage = field(default_factory=InvoicedUsage)
    ours: list[MeteredUsage] = field(default_factory=list)
    edges: list[EdgeUsage] = field(default_factory=list)

    @property
    def billable(self) -> list[MeteredUsage]:
        """The metered usage that the invoice should bill."""
        return [each for each in self.ours if each.billability == Billability.BILLED]

    @property
    def amount_nano(self) -> int:
        """What we charge for the billable usage."""
        return sum(each.amount_nano for each in self.billable)

    @property
    def requests(self) -> int:
        """How many metered requests the invoice should bill."""
        return sum(each.requests for each in self.billable)


def dimensions_of(lines: Iterable[InvoiceLine]) -> tuple[str, ...]:
    """Return which of DIMENSIONS the usage lines of an invoice state."""
    stated: set[str] = set()
    for line in lines:
        stated |= {name for name in DIMENSIONS if getattr(line, name) not in ("", None)}
    return tuple(name for name in DIMENSIONS if name in stated)


SESSION_TAG = "session"
"""The tag that names the session of a request (``X-HF-Session-id``), if it is declared."""


def session_of(project: str, tags: str) -> str:
    """Return the session of usage with these declared tags (canonical JSON): the tag, else the project."""
    if SESSION_TAG not in tags:
        return project
    declared = json.loads(tags)
    return str(declared.get(SESSION_TAG) or project)


def key_for(dimensions: tuple[str, ...], *, session: str, day: int | None, provider: str, model: str) -> GroupKey:
    """Return the group of a line or of usage. Providers and models are compared without regard to case."""
    return GroupKey(
        session if "session" in dimensions else "",
        -1 if day is None or "day" not in dimensions else day,
        provider.casefold() if "provider" in dimensions else "",
        model.casefold() if "model" in dimensions else "",
    )


def grouped(
    dimensions: tuple[str, ...], lines: Iterable[InvoiceLine], usage: Iterable[MeteredUsage], edges: Iterable[EdgeUsage]
) -> dict[GroupKey, UsageGroup]:
    """Return both sides by group, in the order of the keys."""
    groups: dict[GroupKey, UsageGroup] = {}

    def group(session: str, day: int | None, provider: str, model: str) -> UsageGroup:
        key = key_for(dimensions, session=session, day=day, provider=provider, model=model)
        return groups.setdefault(key, UsageGroup())

    for line in lines:
        group(line.session, line.day, line.provider, line.model).theirs.add(line)
    for each in usage:
        group(each.session, each.day, each.provider, each.model).ours.append(each)
    for edge in edges:
        group(edge.session, None, edge.provider, edge.model).edges.append(edge)
    return dict(sorted(groups.items()))
