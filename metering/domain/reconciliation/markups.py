"""Markup: billed amounts that are the metered amounts times one constant factor, where nothing else explains the difference.

Any two amounts differ by some factor. One is proposed only if it is a short decimal, such as 1.05, that fits at least half of
the pairs, and if so many pairs would hardly fit any such number by chance.
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from metering.domain.reconciliation.causes import Cause
from metering.domain.reconciliation.explanations import CausePart

MAX_DECIMALS = 4
MAX_RATIO = 1_000
"""A factor of a thousand, or of a thousandth, is a mix-up of units; no factor is proposed beyond that."""

PPM = 1_000_000
MAX_PAIRS = 2_000
"""Sample size: so many pairs show a factor as well as a million."""


class AmountPair(NamedTuple):
    """Both sides' amounts of the same usage, in nano-USD; rounding can put theirs ``slack_nano`` away from the product."""

    ours_nano: int
    theirs_nano: int
    slack_nano: int


class Factor(NamedTuple):
    """``digits`` over ``10 ** decimals``."""

    digits: int
    decimals: int

    @property
    def part(self) -> CausePart:
        """The factor as an explanation: ``markup:x 1.05``."""
        whole, rest = divmod(self.digits, 10**self.decimals)
        return CausePart(Cause.MARKUP, f"x {whole}.{rest:0{self.decimals}}" if self.decimals else f"x {whole}")

    def fits(self, pair: AmountPair) -> bool:
        """Return whether the amounts of a pair differ by this factor."""
        scale: int = 10**self.decimals
        return pair.ours_nano > 0 and abs(pair.theirs_nano * scale - pair.ours_nano * self.digits) <= pair.slack_nano * scale

    def of(self, amount_nano: int) -> int:
        """Return what it adds to an amount, rounded up as charges are."""
        scale: int = 10**self.decimals
        return -(-amount_nano * self.digits // scale) - amount_nano


def read_factor(detail: str) -> Factor | None:
    """Read a factor from the detail of its part; None if the detail is not a factor."""
    whole, _, rest = detail.removeprefix("x ").partition(".")
    if not detail.startswith("x ") or not whole.isdecimal() or (rest and not rest.isdecimal()):
        return None
    return Factor(int(whole + rest), len(rest))


def shared_factor(
    pairs: Sequence[AmountPair], *, min_pairs: int = 1, chance_ppm: int = 1_000, max_decimals: int = MAX_DECIMALS
) -> Factor | None:
    """Return the shortest factor that at least half of the pairs share, and at least ``min_pairs``.

    None if no factor qualifies, or if the chance that so many share one by accident is above ``chance_ppm`` millionths.
    """
    positive = [each for each in pairs if each.ours_nano > 0 and each.theirs_nano > 0]
    for decimals in range(max_decimals + 1):
        scale = 10**decimals
        votes = Counter(digits for each in positive if (digits := _only_digits(each, scale)) is not None)
        for digits, _ in votes.most_common(1):
            factor = Factor(digits, decimals)
            fitting = [each for each in positive if factor.fits(each)]
            if len(fitting) < max(min_pairs, (len(positive) + 1) // 2):
                continue
            if _chance_ppm(fitting, len(positive) - len(fitting), scale, chance_ppm) <= chance_ppm:
                return factor
    return None


def _only_digits(pair: AmountPair, scale: int) -> int | None:
    """Return the one number of so many decimals that fits a pair; None if none does, or several do."""
    lowest = -(-(pair.theirs_nano - pair.slack_nano) * scale // pair.ours_nano)
    highest = (pair.theirs_nano + pair.slack_nano) * scale // pair.ours_nano
    plausible = scale <= lowest * MAX_RATIO and lowest <= MAX_RATIO * scale
    return lowest if lowest == highest and lowest != scale and plausible else None


def _chance_ppm(fitting: Iterable[AmountPair], others: int, scale: int, enough: int) -> int:
    """Return the chance that so many pairs fit by accident, whichever they are; computed no further than down to ``enough``."""
    chance = PPM << (others + 1)
    for each in fitting:
        chance = chance * (2 * each.slack_nano + 1) * scale // each.ours_nano
        if chance <= enough:
            break
    return chance
