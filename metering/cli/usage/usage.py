"""``metering usage``: put right what was ingested wrong."""

import click

from metering.cli.usage.conflicts import conflicts
from metering.cli.usage.corrections import correct, runs, undo, withdraw


@click.group()
def usage() -> None:
    """Correct or withdraw usage that was ingested wrong, and decide about conflicting records.

    Nothing is overwritten: a correction reverses a charge and replaces it, in a closed month by a correction in the open one.
    Every run has an ID and a reason, and can be undone.
    """


for command in (correct, withdraw, runs, undo, conflicts):
    usage.add_command(command)
