"""``metering reconcile``: how an invoice differs from metered usage, and why."""

import click

from metering.cli.lazy_group import LazyCommand, LazyGroup

_ROOM = "metering.cli.reconciliation"
_LAZY = {
    "import": LazyCommand(f"{_ROOM}.reconcile_import:import_", "Import an invoice from a file, or only its total."),
    "fetch": LazyCommand(f"{_ROOM}.reconcile_fetch:fetch", "Fetch an invoice from Hugging Face and import it."),
    "run": LazyCommand(f"{_ROOM}.reconcile_run:run", "Reconcile one or every current invoice with metered usage."),
    "show": LazyCommand(f"{_ROOM}.reconcile_run:show", "Show a run, or all invoices with their newest runs."),
    "explain": LazyCommand(f"{_ROOM}.reconcile_variances:explain", "Show a variance with its evidence and decisions."),
    "resolve": LazyCommand(f"{_ROOM}.reconcile_variances:resolve", "Decide on a variance."),
    "export": LazyCommand(
        f"{_ROOM}.reconcile_export:export", "Export a report (HTML, CSV), or the evidence of a variance (CSV)."
    ),
}


@click.group(cls=LazyGroup, lazy=_LAZY)
def reconcile() -> None:
    """Reconcile invoices with metered usage, and resolve the variances."""
