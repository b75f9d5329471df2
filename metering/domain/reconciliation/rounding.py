"""How much of a difference rounding can explain. An amount beyond that is never called rounding.

Two things are rounded: the amounts on an invoice, to its unit (cents or nano-dollars), once per line and once for the total;
and charges, up to a whole nano-dollar, once per request. A slack is the number of roundings times their unit, in nano-USD.
Findings and bridges are built with these functions, and ``metering verify`` checks stored runs with them.
"""

from math import isqrt


def is_rounding(amount_nano: int, slack_nano: int) -> bool:
    """Return whether rounding can explain an amount, in either direction."""
    return abs(amount_nano) <= slack_nano


def line_slack(lines: int, unit_nano: int) -> int:
    """Return the slack of amounts on ``lines`` lines. Amounts stated to the nano-dollar are exact and have none."""
    return unit_nano * lines if unit_nano > 1 else 0


def total_slack(lines: int, unit_nano: int) -> int:
    """Return the slack between a stated total and the sum of the lines: one rounding per line, and one of the total."""
    return unit_nano * (lines + 1)


def charge_slack(requests: int) -> int:
    """Return how far a sum of charges, each rounded up, can be from the same sum at another price: six standard deviations."""
    return min(requests, 6 * isqrt(requests) + 2)


def run_slack(*, lines: int, unit_nano: int, requests: int) -> int:
    """Return the most that rounding can explain in one run, its total aside: a unit per line, a nano-dollar per request."""
    return unit_nano * lines + requests
