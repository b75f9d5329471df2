"""Guards against broken price lists: a list that changes too much at once has to be accepted first.

That is a list that changes the prices of too many models, leaves too many models without a price, changes one price by too
large a factor, or replaces a price by 0 without stating that the model is free. New models never matter, and the first list
always passes.
"""

from collections.abc import Collection, Iterable
from enum import StrEnum

from msgspec import Struct

from pricing.changes import ChangeKind, PriceChange
from pricing.errors import InvalidPriceError
from pricing.quoting import quote


class HoldCode(StrEnum):
    """Stable codes for why a list has to be accepted."""

    TOO_MANY_CHANGED = "too_many_changed"
    TOO_MANY_VANISHED = "too_many_vanished"
    PRICE_JUMP = "price_jump"
    ZERO_PRICE = "zero_price"


class HoldReason(Struct, frozen=True):
    """A reason why a list has to be accepted; the message is for people."""

    code: HoldCode
    message: str


class GuardLimits(Struct, frozen=True, kw_only=True):
    """How much a list may change at once, inclusive.

    Percentages are of the (provider, model) pairs that had a price before, from 0 to 100; 100 is no limit. The factor is at
    least 1.
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
    changes: Iterable[PriceChange],
    models_before: int,
    limits: GuardLimits = DEFAULT_LIMITS,
    listed_at_zero: Collection[str] = (),
) -> tuple[HoldReason, ...]:
    """Return why a list with these changes has to be accepted; empty if it can take effect.

    ``models_before`` is the number of (provider, model) pairs that had a price before; 0 means that this is the first list.
    ``listed_at_zero`` are the pairs, as ``provider model``, for which the list has a price of 0 without calling them free: that
    price is unknown.
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
                f"the prices of {len(changed)} of {models_before} models would change, more than {limits.changed_percent} %",
            )
        )
    if len(vanished) * 100 > models_before * limits.vanished_percent:
        reasons.append(
            HoldReason(
                HoldCode.TOO_MANY_VANISHED,
                f"{len(vanished)} of {models_before} models would lose a price, more than {limits.vanished_percent} %",
            )
        )
    lost = sorted({f"{provider} {model}" for provider, model in vanished}.intersection(listed_at_zero))
    reasons += [
        HoldReason(HoldCode.ZERO_PRICE, f"{pair}: a price would become 0 without is_free, so the model would have no price")
        for pair in lost
    ]
    jumps = (_jump(change, limits.price_factor) for change in listed)
    return (*reasons, *(jump for jump in jumps if jump is not None))


def count_models(keys: Iterable[tuple[str, str, str, int, str]]) -> int:
    """Return the number of (provider, model) pairs in the keys of a set of prices."""
    return len({key[:2] for key in keys})


def _jump(change: PriceChange, factor: int) -> HoldReason | None:
    """Return a reason if one price changes too much; from or to 0 it always does."""
    before, after = change.before, change.after
    if before is None or after is None:
        return None
    scaled_before, scaled_after = before.pico * after.block, after.pico * before.block
    if max(scaled_before, scaled_after) <= min(scaled_before, scaled_after) * factor:
        return None
    return HoldReason(
        HoldCode.PRICE_JUMP,
        f"{change.provider} {change.model}: {change.quantity} would change from {quote(change.quantity, before)}"
        f" to {quote(change.quantity, after)}, more than {factor}-fold",
    )
