"""Why a database can not be used, or can not take what it was given."""

from sqlalchemy.exc import DBAPIError

from metering.domain.errors import DomainError


class DatabaseUrlError(DomainError):
    """The database URL can not be used."""

    code = "invalid_database_url"


class SchemaOutOfDateError(DomainError):
    """The database has not been brought to this release's schema."""

    code = "schema_out_of_date"


class SumTooLargeError(DomainError):
    """A sum that is kept would leave 64 bits; nothing of the transaction is stored."""

    code = "sum_too_large"


def is_overflow(error: DBAPIError) -> bool:
    """Whether the database refused a row because a number of it leaves 64 bits."""
    out_of_range = getattr(error.orig, "sqlstate", None) == "22003"  # PostgreSQL: numeric_value_out_of_range
    # SQLite goes on with a REAL where an INTEGER overflows, and a STRICT table refuses to keep it; its sum() refuses by itself.
    told = str(error.orig)
    return out_of_range or "cannot store REAL value in INTEGER column" in told or "integer overflow" in told
