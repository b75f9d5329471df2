"""A metering database for tests, made by the real migrations, with the operations and queries that tests use."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date

from sqlalchemy import func, select

from metering.domain.accounts.plan_history import PlanChange
from metering.domain.charges.rating_results import RatingResult
from metering.domain.charges.rerating import RerateResult, RerateScope, RerateSummary
from metering.domain.charges.spend import Granularity, SpendQuery
from metering.domain.credits.adjustments import Adjustment
from metering.domain.credits.credits import CreditGrant
from metering.domain.statements.statements import Statement
from metering.domain.usage.outcomes import BatchResult
from metering.operations.accounts.manage_plans import set_plan
from metering.operations.charges.query_spend import query_spend
from metering.operations.charges.rate_unpriced import rate_unpriced
from metering.operations.charges.rerate import continue_rerate, preview_rerate, start_rerate
from metering.operations.credits.adjust_account import adjust_account
from metering.operations.credits.grant_credits import grant_credits
from metering.operations.statements.close_month import CloseOptions, close_month
from metering.operations.statements.show_statement import show_statement
from metering.operations.upkeep.verify import verify
from metering.operations.usage.ingest import Ingester, IngestSettings, Origin
from metering.storage.accounts.accounts import insert_account
from metering.storage.engine.database import exclusive_write, open_database, read_snapshot
from metering.storage.prices.price_tables import record_tables
from pricing.bundled import bundled_plans
from pricing.tables import PriceTable
from support.builders import NOW, batch_of, price_table, rate
from support.databases import PostgresDatabases, SqliteDatabases

PLANS = bundled_plans()
ALL_TIME = (0, 4_102_444_800_000_000)


class Meter:
    """One database with an ingester. By default, ``acme`` is declared and ``llama`` has a price."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.engine = open_database(self.url)
        self.now = NOW
        self.configure()

    def configure(self, **settings) -> None:
        """Use a new ingester with these settings, as another process would."""
        if "declared_tags" in settings:
            settings["declared_tags"] = frozenset(settings["declared_tags"])
        self.settings = IngestSettings(**settings)
        self.ingester = Ingester(self.engine, self.settings, lambda: self.now)

    def declare(self, name: str, default_route: str = "") -> int:
        """Declare an account."""
        with exclusive_write(self.engine) as connection:
            return insert_account(connection, name, default_route=default_route, now=self.now)

    def record_prices(self, *tables: PriceTable) -> None:
        """Record price tables. Default: the price of ``llama``."""
        with exclusive_write(self.engine) as connection:
            record_tables(connection, tables or (price_table(rate()),), now=self.now)

    def ingest(self, *events, source: str = "gateway", create_accounts: bool = False, rejected=()) -> BatchResult:
        """Ingest events as one batch."""
        batch = batch_of(*events, declared_tags=self.settings.declared_tags, rejected=rejected)
        return self.ingester.ingest(batch, Origin(source, create_accounts=create_accounts))

    def rate_unpriced(self, **options) -> RatingResult:
        """Charge usage whose price has become known."""
        return rate_unpriced(self.engine, now=self.now, **options)

    def preview_rerate(self, **scope) -> RerateSummary:
        """Preview re-rating. Default scope: all accounts, all time."""
        return preview_rerate(self.engine, _rerate_scope(scope))

    def rerate(self, *, reason: str = "a better price", **scope) -> RerateResult:
        """Re-rate. Default scope: all accounts, all time."""
        run = start_rerate(self.engine, _rerate_scope(scope), reason=reason, now=self.now)
        return continue_rerate(self.engine, run.id, clock=lambda: self.now)

    def spend(self, start: int = ALL_TIME[0], end: int = ALL_TIME[1], **fields):
        """Query spend. Default period: all time."""
        return query_spend(self.engine, SpendQuery(start, end, **fields), declared_tags=self.settings.declared_tags)

    def total(self, **fields) -> int:
        """Return the total spend in nano-USD."""
        return sum(row.amount_nano for row in self.spend(granularity=Granularity.TOTAL, **fields))

    def set_plan(self, plan: str, since: str, *, account: str = "acme", seats: int = 1) -> None:
        """Put an account on a plan from a day on."""
        set_plan(self.engine, account, PlanChange(date.fromisoformat(since), plan, seats), PLANS, now=self.now)

    def close(self, month: int, *, account: str = "acme", **how) -> Statement:
        """Close a month; return its statement."""
        return close_month(self.engine, account, month, CloseOptions(PLANS, **how), now=self.now)[-1]

    def statement(self, month: int, *, account: str = "acme") -> Statement:
        """Return a month's statement, closed or as a draft."""
        return show_statement(self.engine, account, month, PLANS)

    def adjust(self, month: int, amount_nano: int, *, account: str = "acme", reference: str = "rec-1") -> Adjustment:
        """Adjust what an account owes for a month."""
        return adjust_account(self.engine, account, month, amount_nano, reference=reference, reason="agreed", now=self.now)

    def grant(self, amount_nano: int, *, account: str = "acme", kind: str = "purchased", **fields) -> CreditGrant:
        """Grant credits. Default: usable from now on."""
        wanted = CreditGrant(0, kind, amount_nano, **({"granted_at": self.now} | fields))
        return grant_credits(self.engine, account, wanted, now=self.now)

    def violations(self):
        """Return the violated invariants."""
        return verify(self.engine)

    def count(self, table, *conditions) -> int:
        """Return the number of rows of a table."""
        with read_snapshot(self.engine) as connection:
            return connection.execute(select(func.count()).select_from(table).where(*conditions)).scalar_one()

    def rows(self, statement):
        """Return the rows of an SQL statement."""
        with read_snapshot(self.engine) as connection:
            return list(connection.execute(statement))

    def execute(self, sql: str, *parameters) -> None:
        """Change the database directly; ``?`` is a parameter."""
        marked = sql if self.on_sqlite else sql.replace("?", "%s")
        with exclusive_write(self.engine) as connection:
            connection.exec_driver_sql(marked, parameters)

    @property
    def on_sqlite(self) -> bool:
        """Whether the database is a SQLite file."""
        return self.engine.dialect.name == "sqlite"


@contextmanager
def metered(databases: SqliteDatabases | PostgresDatabases) -> Iterator[Meter]:
    """Provide a new, migrated database, which is dropped after the block."""
    meter = Meter(databases.new())
    try:
        yield meter
    finally:
        meter.engine.dispose()
        databases.drop(meter.url)


def _rerate_scope(fields) -> RerateScope:
    return RerateScope(**{"account_id": None, "start": ALL_TIME[0], "end": ALL_TIME[1]} | fields)
