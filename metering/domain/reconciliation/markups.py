"""A constant factor: what is billed is what we charge, times one number, wherever nothing else explains the difference.

Any two amounts are some factor apart. One is put forward only where it is a short decimal, such as 1.05, that fits most of
the pairs, and where that many would hardly fit any such number by accident.
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from metering.domain.reconciliation.causes import Cause
from metering.domain.reconciliation.explanations import CausePart

MOST_DECIMALS = 4
LARGEST = 1_000
"""A thousand times as much, or a thousandth of it, is a confusion of units; beyond that it is no factor."""

PPM = 1_000_000
MOST_ASKED = 2_000
"""So many pairs tell a factor as well as a million."""


class Pair(NamedTuple):
    """What each side says of the same usage, nano-USD; rounding can put theirs as far as ``reach`` from the product."""

    ours_nano: int
    theirs_nano: int
    reach: int


class Factor(NamedTuple):
    """``digits`` over ``10 ** decimals``."""

    digits: int
    decimals: int

    @property
    def part(self) -> CausePart:
        """Say it as an explanation: ``markup:x 1.05``."""
        whole, rest = divmod(self.digits, 10**self.decimals)
        return CausePart(Cause.MARKUP, f"x {whole}.{rest:0{self.decimals}}" if self.decimals else f"x {whole}")

    def fits(self, pair: Pair) -> bool:
        """Whether a pair is this factor apart."""
        scale: int = 10**self.decimals
        return pair.ours_nano > 0 and abs(pair.theirs_nano * scale - pair.ours_nano * self.digits) <= pair.reach * scale

    def of(self, amount_nano: int) -> int:
        """Return what it adds to an amount, rounded up as charges are."""
        scale: int = 10**self.decimals
        return -(-amount_nano * self.digits // scale) - amount_nano


def read_factor(detail: str) -> Factor | None:
    """Read a factor from the detail of its part; None where it is none."""
    whole, _, rest = detail.removeprefix("x ").partition(".")
    if not detail.startswith("x ") or not whole.isdecimal() or (rest and not rest.isdecimal()):
        return None
    return Factor(int(whole + rest), len(rest))


def shared_factor(
    pairs: Sequence[Pair], *, least: int = 1, chance_ppm: int = 1_000, most_decimals: int = MOST_DECIMALS
) -> Factor | None:
    """Return the shortest factor that at least half of the pairs share, and no fewer than ``least``.

    None where none is, or where the chance that so many share one by accident is above ``chance_ppm`` millionths.
    """
    asked = [each for each in pairs if each.ours_nano > 0 and each.theirs_nano > 0]
    for decimals in range(most_decimals + 1):
        scale = 10**decimals
        votes = Counter(digits for each in asked if (digits := _only(each, scale)) is not None)
        for digits, _ in votes.most_common(1):
            factor = Factor(digits, decimals)
            fitting = [each for each in asked if factor.fits(each)]
            if len(fitting) < max(least, (len(asked) + 1) // 2):
                continue
            if _chance_ppm(fitting, len(asked) - len(fitting), scale, chance_ppm) <= chance_ppm:
                return factor
    return None


def _only(pair: Pair, scale: int) -> int | None:
    """Return the one number of so many decimals that fits a pair; None where none does, or several do."""
    lowest = -(-(pair.theirs_nano - pair.reach) * scale // pair.ours_nano)
    highest = (pair.theirs_nano + pair.reach) * scale // pair.ours_nano
    plausible = scale <= lowest * LARGEST and lowest <= LARGEST * scale
    return lowest if lowest == highest and lowest != scale and plausible else None


def _chance_ppm(fitting: Iterable[Pair], others: int, scale: int, enough: int) -> int:
    """Return how likely it is that these fit by accident, whichever of all they are; no further than to ``enough``."""
    chance = PPM << (others + 1)
    for each in fitting:
        chance = chance * (2 * each.reach + 1) * scale // each.ours_nano
        if chance <= enough:
            break
    return chance
