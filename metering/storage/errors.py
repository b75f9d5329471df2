"""Why a database can not be used."""

from metering.domain.errors import DomainError


class DatabaseUrlError(DomainError):
    """The database URL can not be used."""

    code = "invalid_database_url"


class SchemaOutOfDateError(DomainError):
    """The database has not been brought to this release's schema."""

    code = "schema_out_of_date"
