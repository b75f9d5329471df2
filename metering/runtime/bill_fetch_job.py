"""Fetching and reconciling the bill as a job: asks Hugging Face when that is due, and says once when it stops to work.

When it was done last is told from the runs that are recorded. A failure records nothing, so that the process remembers it: it
asks again an hour later, or after a restart.
"""

import logging
from collections.abc import Callable

from sqlalchemy import Engine

from metering.domain.errors import DomainError
from metering.domain.instants import MICROS_PER_HOUR, format_month, month_of
from metering.operations.accounts.manage_accounts import show_account
from metering.operations.reconciliation.fetch_invoice import BillRequest, BillSource, fetch_invoice
from metering.operations.reconciliation.reconcile import list_runs, reconcile
from metering.operations.reconciliation.reconcile_settings import ReconcileSettings
from pricing.plans import PlanCatalogue

_log = logging.getLogger(__name__)


class BillFetchJob:
    """Asks for the current month's bill of one account. Call it as often as you like."""

    def __init__(
        self,
        engine: Engine,
        source: BillSource,
        settings: ReconcileSettings,
        catalogue: PlanCatalogue,
        clock: Callable[[], int],
    ) -> None:
        self._engine = engine
        self._source = source
        self._settings = settings
        self._catalogue = catalogue
        self._clock = clock
        self._failed_at: int | None = None

    def __call__(self) -> None:
        """Fetch and reconcile if that is due now; log a change of state."""
        now = self._clock()
        if not self._is_due(now):
            return
        account, month = self._settings.fetch_account, month_of(now)
        try:
            done = fetch_invoice(self._engine, self._source, BillRequest(account, month), now=now)
            tolerance = self._settings.tolerance_of(done.invoice.format)
            report = reconcile(self._engine, done.invoice.id, self._catalogue, tolerance=tolerance, now=now)
        except DomainError as error:
            if self._failed_at is None:
                _log.warning("the bill of %s is not fetched: %s; it is tried again every hour", account, error)
            self._failed_at = now
            return
        if self._failed_at is not None:
            _log.warning("the bill of %s is fetched again", account)
            self._failed_at = None
        if report.needs_attention:
            _log.warning(
                "the bill of %s for %s differs: see `metering reconcile show %d`", account, format_month(month), report.run.id
            )

    def _is_due(self, now: int) -> bool:
        if self._failed_at is not None and self._failed_at <= now < self._failed_at + MICROS_PER_HOUR:
            return False
        try:
            account_id = show_account(self._engine, self._settings.fetch_account).id
        except DomainError:
            account_id = None
        last = [] if account_id is None else list_runs(self._engine, account_id=account_id, limit=1)
        return not last or last[0].run_at > now or now - last[0].run_at >= self._settings.fetch_hours * MICROS_PER_HOUR
