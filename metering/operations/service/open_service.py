"""Open the service: the database, the ingester, the plan catalog and the clock, created once and passed to the edges."""

from collections.abc import Callable

from msgspec import Struct
from sqlalchemy import Engine

from metering.operations.service.settings import Settings
from metering.operations.upkeep.upgrade_database import upgrade_database
from metering.operations.usage.ingest import Ingester
from metering.outbound.fetch_results import Fetch, offline
from metering.storage.engine.database import open_database
from metering.storage.engine.schema_revision import is_empty, require_current_schema
from pricing.bundled import bundled_plans
from pricing.plans import PlanCatalog


class Service(Struct, frozen=True):
    """What every edge works with. ``clock`` returns microseconds since 1970, UTC; ``fetch`` makes requests, or refuses to."""

    engine: Engine
    ingester: Ingester
    catalog: PlanCatalog
    settings: Settings
    clock: Callable[[], int]
    fetch: Fetch = offline


def open_service(settings: Settings, clock: Callable[[], int], *, create: bool, fetch: Fetch = offline) -> Service:
    """Open the database; with ``create``, an empty one is created.

    Raises SchemaOutOfDateError for a database of another release, DatabaseUrlError for a URL that cannot be used.
    """
    engine = open_database(settings.database_url)
    try:
        if create and is_empty(engine):
            upgrade_database(engine, now=clock())
        else:
            require_current_schema(engine)
    except BaseException:
        engine.dispose()  # the caller has no engine to dispose of, and a server would keep the session
        raise
    return Service(engine, Ingester(engine, settings.ingest, clock), bundled_plans(), settings, clock, fetch)
