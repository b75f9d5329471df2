"""Errors of the database: it cannot be used, or cannot store a value."""

from sqlalchemy.exc import DBAPIError

from metering.domain.errors import DomainError


class DatabaseUrlError(DomainError):
    """The database URL cannot be used."""

    code = "invalid_database_url"


class SchemaOutOfDateError(DomainError):
    """The database does not have this release's schema."""

    code = "schema_out_of_date"


class SumTooLargeError(DomainError):
    """A stored sum would exceed 64 bits; nothing of the transaction is stored."""

    code = "sum_too_large"


def is_overflow(error: DBAPIError) -> bool:
    """Whether the database refused a row because a number in it exceeds 64 bits."""
    out_of_range = getattr(error.orig, "sqlstate", None) == "22003"  # PostgreSQL: numeric_value_out_of_range
    # SQLite turns an INTEGER that overflows into a REAL, which a STRICT table refuses; its sum() refuses to overflow.
    message = str(error.orig)
    return out_of_range or "cannot store REAL value in INTEGER column" in message or "integer overflow" in message
