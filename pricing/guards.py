"""A price list that changes too much at once is held until somebody has looked: a broken source looks like a sale.

Held are: prices of a larger share of the models changing together, one price moving by more than a factor, and a larger share
of the models losing a price. What is new never holds a list, and the first list ever has nothing to be compared with.
"""

from collections.abc import Iterable
from enum import StrEnum

from msgspec import Struct

from pricing.changes import ChangeKind, PriceChange
from pricing.errors import InvalidPriceError
from pricing.quoting import quote


class HoldCode(StrEnum):
    """Why a list is held, as a stable word."""

    TOO_MANY_CHANGED = "too_many_changed"
    TOO_MANY_VANISHED = "too_many_vanished"
    PRICE_JUMP = "price_jump"


class HoldReason(Struct, frozen=True):
    """One reason to hold a list; the message says it to a person."""

    code: HoldCode
    message: str


class GuardLimits(Struct, frozen=True, kw_only=True):
    """How much a list may change at once: up to and including each limit it passes.

    Percentages are of the (provider, model) pairs that had a price before, from 0 to 100; 100 lets anything pass. The factor
    is at least 1.
    """

    changed_percent: int = 25
    vanished_percent: int = 10
    price_factor: int = 10

    def __post_init__(self) -> None:
        for name in ("changed_percent", "vanished_percent"):
            percent = getattr(self, name)
            if not 0 <= percent <= 100:
                raise InvalidPriceError(f"{name} must be between 0 and 100, got {percent}")
        if self.price_factor < 1:
            raise InvalidPriceError(f"price_factor must be at least 1, got {self.price_factor}")


DEFAULT_LIMITS = GuardLimits()


def reasons_to_hold(
    changes: Iterable[PriceChange], models_before: int, limits: GuardLimits = DEFAULT_LIMITS
) -> tuple[HoldReason, ...]:
    """Return why a list with these changes must be looked at first; empty when it can take effect.

    ``models_before`` is the number of (provider, model) pairs that had a price before; 0 means that this is the first list.
    """
    if not models_before:
        return ()
    listed = list(changes)
    changed = {(change.provider, change.model) for change in listed if change.before is not None}
    vanished = {(change.provider, change.model) for change in listed if change.kind is ChangeKind.WITHDRAWN}
    reasons = []
    if len(changed) * 100 > models_before * limits.changed_percent:
        reasons.append(
            HoldReason(
                HoldCode.TOO_MANY_CHANGED,
                f"the prices of {len(changed)} of {models_before} models change at once; up to {limits.changed_percent} % pass",
            )
        )
    if len(vanished) * 100 > models_before * limits.vanished_percent:
        reasons.append(
            HoldReason(
                HoldCode.TOO_MANY_VANISHED,
                f"{len(vanished)} of {models_before} models lose a price at once; up to {limits.vanished_percent} % pass",
            )
        )
    jumps = (_jump(change, limits.price_factor) for change in listed)
    return (*reasons, *(jump for jump in jumps if jump is not None))


def count_models(keys: Iterable[tuple[str, str, str, int, str]]) -> int:
    """Return the number of (provider, model) pairs in the keys of a set of prices."""
    return len({key[:2] for key in keys})


def _jump(change: PriceChange, factor: int) -> HoldReason | None:
    """Return why one change is too large; from or to 0 it always is."""
    before, after = change.before, change.after
    if before is None or after is None:
        return None
    was, becomes = before.pico * after.block, after.pico * before.block
    if max(was, becomes) <= min(was, becomes) * factor:
        return None
    return HoldReason(
        HoldCode.PRICE_JUMP,
        f"{change.provider} {change.model}: {change.quantity} goes from {quote(change.quantity, before)}"
        f" to {quote(change.quantity, after)}; up to {factor} times passes",
    )
