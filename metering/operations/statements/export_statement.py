"""Export a statement as a file, from one state of the database.

The file is complete before the first byte is sent: a slow reader holds no database connection, a failed export is an error
instead of a truncated download, and the file has a length and a tag. Large files are spooled to disk, so memory stays flat.
"""

import hashlib
from collections.abc import Collection, Iterator
from tempfile import SpooledTemporaryFile

from msgspec import Struct
from sqlalchemy import Connection, Engine

import metering
from metering.domain.accounts.accounts import Account
from metering.domain.instants import format_month
from metering.domain.statements.month_detail import MonthDetail
from metering.domain.statements.statements import Statement, as_of
from metering.exports.formats import ExportFormat
from metering.operations.steps.find_account import find_account
from metering.operations.steps.read_books import statement_of_account
from metering.storage.charges.daily_usage import daily_usage, rates_of_month
from metering.storage.engine.database import read_snapshot
from metering.storage.prices.price_tables import account_table_sources, load_rates, load_tables
from pricing.list_prices import ListPrices, base_versions
from pricing.plans import PlanCatalog
from pricing.rates import Rate
from pricing.tables import DISCOUNT, recorded_until

ANY_TAG = "*"
"""A known tag that matches every file."""

_IN_MEMORY_BYTES = 1 << 20
_READ_BYTES = 1 << 16


class ExportedFile(Struct, frozen=True):
    """A finished file; ``tag`` changes whenever its bytes do. Close it: a large file is on disk."""

    name: str
    media_type: str
    size: int
    tag: str
    content: SpooledTemporaryFile[bytes]

    def chunks(self) -> Iterator[bytes]:
        """Yield the bytes, once."""
        while piece := self.content.read(_READ_BYTES):
            yield piece

    def close(self) -> None:
        """Free the memory or disk space."""
        self.content.close()


class UnchangedFile(Struct, frozen=True):
    """The caller has the current file already."""

    tag: str


def export_statement(
    engine: Engine,
    account: str,
    month: int,
    catalog: PlanCatalog,
    wanted: ExportFormat,
    *,
    known: frozenset[str] = frozenset(),
    now: int | None = None,
) -> ExportedFile | UnchangedFile:
    """Return an account's month as a file, or UnchangedFile if its tag is ``known``; ``now`` flags a month that has not begun.

    The tag of a closed statement follows from its digest, without making the file. Raises NotFoundError, and ExportSumError if
    the file would not agree with the statement.
    """
    with read_snapshot(engine) as connection:
        row = find_account(connection, account)
        statement = statement_of_account(connection, row, month, catalog)
        statement = statement if now is None else as_of(statement, now)
        tag = _tag_of_closed(statement, wanted)
        if tag and is_known(tag, known):
            return UnchangedFile(tag)
        content, size, digest = spool(wanted.chunks(detail_of(connection, row, statement, by_day=wanted.by_day)))
    tag = tag or digest
    if is_known(tag, known):
        content.close()
        return UnchangedFile(tag)
    return ExportedFile(file_name(statement.account, month, wanted), wanted.media_type, size, tag, content)


def detail_of(connection: Connection, account: Account, statement: Statement, *, by_day: bool) -> MonthDetail:
    """Return a statement with its days (``by_day``), which are read lazily and within the transaction."""
    if not by_day:
        return MonthDetail(statement, (), {})
    rates = load_rates(connection, rates_of_month(connection, account.id, statement.month))
    listed = _list_prices(connection, rates.values(), statement.closed_at)
    return MonthDetail(statement, daily_usage(connection, account.id, statement.month), rates, listed)


def _list_prices(connection: Connection, rates: Collection[Rate], known_at: int | None) -> ListPrices:
    """Return the list prices behind an account's own rates, as far as they were recorded by ``known_at`` (None: all).

    A closed statement uses the lists as they were when it was closed, so that its exports stay the same.
    """
    own = account_table_sources(connection, {rate.table_id for rate in rates})
    if not own:
        return ListPrices()
    if set(own.values()) == {DISCOUNT}:
        return ListPrices(own, tuple(load_tables(connection, base_versions(rates, own))))
    return ListPrices(own, tuple(recorded_until(load_tables(connection), known_at)))


def spool(chunks: Iterator[bytes]) -> tuple[SpooledTemporaryFile[bytes], int, str]:
    """Return a file of the chunks, positioned at its start, with its size and the digest of its bytes."""
    content: SpooledTemporaryFile[bytes] = SpooledTemporaryFile(max_size=_IN_MEMORY_BYTES)  # noqa: SIM115 - returned to the caller
    digest = hashlib.sha256()
    size = 0
    try:
        for chunk in chunks:
            content.write(chunk)
            digest.update(chunk)
            size += len(chunk)
    except BaseException:
        content.close()
        raise
    content.seek(0)
    return content, size, digest.hexdigest()[:32]


def file_name(account: str, month: int, wanted: ExportFormat) -> str:
    """Return the file's name."""
    kind = "statement" if wanted.name == wanted.suffix else wanted.name
    return f"{kind}-{account}-{format_month(month)}.{wanted.suffix}"


def is_known(tag: str, known: frozenset[str]) -> bool:
    """Return whether the caller has the file with this tag."""
    return tag in known or ANY_TAG in known


def _tag_of_closed(statement: Statement, wanted: ExportFormat) -> str:
    """Return the tag of a closed statement, empty for a draft. Digest, format, name and release determine the file."""
    if not statement.digest:
        return ""
    release = (metering.__version__, wanted.name, str(wanted.focus_version), statement.account)
    return hashlib.sha256("\n".join((statement.digest, *release)).encode()).hexdigest()[:32]
