"""The service, opened for one command. Database errors are reported in one line, like any other error."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy.exc import DBAPIError

from metering.cli.invocation import Invocation
from metering.domain.accounts.accounts import AccountNotFoundError
from metering.domain.errors import DomainError, NotFoundError
from metering.domain.nearest_name import did_you_mean
from metering.operations.accounts.manage_accounts import account_names
from metering.operations.budgets.evaluate_budgets import BudgetEvaluator
from metering.operations.service.logs import configure_logging
from metering.operations.service.open_service import Service, open_service
from metering.operations.service.settings import Settings, read_settings
from metering.storage.engine.database import file_of, open_database, without_password


class DatabaseFailureError(DomainError):
    """The database could not be opened, read or written."""

    code = "database_error"


class NoDatabaseError(NotFoundError):
    """The database does not exist yet."""

    code = "no_database"


def settings_of(invocation: Invocation, *, log_level: int = logging.WARNING) -> Settings:
    """Read the settings and configure logging; ``log_level`` is the command's default. Raises SettingsError."""
    settings = read_settings(invocation.environment)
    configure_logging(settings.logs, log_level)
    return settings


@contextmanager
def open_session(invocation: Invocation, *, create: bool = False, log_level: int = logging.WARNING) -> Iterator[Service]:
    """Open the service for one command; only one that writes (``create``) creates a database that does not exist.

    Raises SettingsError, DatabaseUrlError, SchemaOutOfDateError, NoDatabaseError and DatabaseFailureError.
    """
    settings = settings_of(invocation, log_level=log_level)
    if not create:
        _require_database(settings)
    try:
        service = open_service(settings, invocation.clock, create=create)
        try:
            yield service
            # Evaluate what the command charged before it ends; if it fails first, the next evaluation does.
            BudgetEvaluator(service.engine, service.catalog, service.clock).finish()
        except AccountNotFoundError as error:
            # Only here: the API must not name accounts to a key that is bound to one.
            hint = did_you_mean(error.name[:80], list(account_names(service.engine).values()))
            raise AccountNotFoundError(error.name, hint or ";") from error
        finally:
            service.engine.dispose()
    except DBAPIError as error:
        raise database_failure(settings.database_url, error) from error


def database_failure(url: str, error: DBAPIError) -> DatabaseFailureError:
    """Return an error of the database in one line."""
    # Without a statement, it was the connection that failed.
    advice = "; start the server, or correct METERING_DATABASE_URL" if error.statement is None else ""
    return DatabaseFailureError(f"{without_password(url)}: {' '.join(str(error.orig).split())}{advice}")


def _require_database(settings: Settings) -> None:
    file = file_of(open_database(settings.database_url).url)
    if file is not None and not file.exists():
        raise NoDatabaseError(f"no database at {file}; `metering ingest FILE` or `metering db upgrade` creates it")
