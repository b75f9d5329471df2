"""``--reads``: what a pasted total adds up."""

from collections.abc import Callable
from typing import Any

import click

from metering.domain.reconciliation.readings import TotalReading


def reads_option(effect: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Return the option; ``effect`` says what choosing a reading does."""
    return click.option(
        "--reads",
        type=click.Choice([str(reading) for reading in TotalReading]),
        help=f"What a pasted total adds up: the whole statement, or usage alone. {effect}",
    )
