"""The service, opened for one command. What goes wrong with the database is told in one line, like any other error."""

from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy.exc import DBAPIError

from metering.cli.invocation import Invocation
from metering.domain.errors import DomainError, NotFoundError
from metering.operations.budgets.evaluate_budgets import BudgetEvaluator
from metering.operations.service.open_service import Service, open_service
from metering.operations.service.settings import Settings, read_settings
from metering.storage.engine.database import file_of, open_database, without_password


class DatabaseFailureError(DomainError):
    """The database could not be opened, read or written."""

    code = "database_error"


class NoDatabaseError(NotFoundError):
    """There is nothing to read from yet."""

    code = "no_database"


@contextmanager
def open_session(invocation: Invocation, *, create: bool = False) -> Iterator[Service]:
    """Open the service for one command; only one that writes (``create``) makes a database where there is none.

    Raises SettingsError, DatabaseUrlError, SchemaOutOfDateError, NoDatabaseError and DatabaseFailureError.
    """
    settings = read_settings(invocation.environment)
    if not create:
        _require_database(settings)
    try:
        service = open_service(settings, invocation.clock, create=create)
        try:
            yield service
            # Evaluate what the command charged before it ends; if it fails first, the next evaluation does.
            BudgetEvaluator(service.engine, service.catalogue, service.clock).finish()
        finally:
            service.engine.dispose()
    except DBAPIError as error:
        raise DatabaseFailureError(f"{without_password(settings.database_url)}: {error.orig}") from error


def _require_database(settings: Settings) -> None:
    file = file_of(open_database(settings.database_url).url)
    if file is not None and not file.exists():
        raise NoDatabaseError(f"there is no database at {file}; `metering ingest FILE` or `metering db upgrade` makes one")
