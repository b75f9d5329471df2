"""Fetch and reconcile an account's invoice on a schedule; log once when that starts or stops failing.

The time of the last fetch is that of the account's newest run. A failure records nothing, so the process remembers it and
retries after an hour, or after a restart.
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
from pricing.plans import PlanCatalog

_log = logging.getLogger(__name__)


class BillFetchJob:
    """Fetches the current month's invoice of one account. Call it at any interval."""

    def __init__(
        self,
        engine: Engine,
        source: BillSource,
        settings: ReconcileSettings,
        catalog: PlanCatalog,
        clock: Callable[[], int],
    ) -> None:
        self._engine = engine
        self._source = source
        self._settings = settings
        self._catalog = catalog
        self._clock = clock
        self._failed_at: int | None = None

    def __call__(self) -> None:
        """Fetch and reconcile if due; log a change of state."""
        now = self._clock()
        if not self._is_due(now):
            return
        account, month = self._settings.fetch_account, month_of(now)
        try:
            invoice = fetch_invoice(self._engine, self._source, BillRequest(account, month), now=now).invoice
            report = reconcile(self._engine, invoice.id, self._catalog, settings=self._settings, now=now)
        except DomainError as error:
            if self._failed_at is None:
                _log.warning("fetching the invoice of %s failed: %s; will retry every hour", account, error)
            self._failed_at = now
            return
        if self._failed_at is not None:
            _log.warning("fetching the invoice of %s works again", account)
            self._failed_at = None
        if report.needs_attention:
            _log.warning(
                "the invoice of %s for %s has open variances: see `metering reconcile show %d`",
                account,
                format_month(month),
                report.run.id,
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
