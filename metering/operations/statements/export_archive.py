"""Export many statements as one archive: all months of an account, or all accounts of a month.

All files are made from one state of the database, one after the other, so memory stays flat. ``index.csv`` lists them with each
statement's total. The same statements give the same bytes.
"""

import hashlib
import zipfile
from collections.abc import Iterator, Sequence
from tempfile import SpooledTemporaryFile

from msgspec import Struct
from sqlalchemy import Connection, Engine

from metering.domain.accounts.accounts import Account
from metering.domain.errors import NotFoundError
from metering.domain.instants import format_month
from metering.domain.statements.statements import Statement
from metering.exports.csv_text import Cell, csv_chunks, escape_formula
from metering.exports.formats import ExportFormat
from metering.exports.statement_csv import CURRENCY
from metering.operations.statements.export_statement import ExportedFile, UnchangedFile, detail_of, file_name, is_known
from metering.operations.steps.find_account import find_account
from metering.operations.steps.read_books import statement_of_account
from metering.operations.steps.statement_months import statement_months
from metering.storage.accounts.accounts import accounts_by_name
from metering.storage.engine.database import read_snapshot
from pricing.dollars import format_cents
from pricing.money import PICO_PER_CENT
from pricing.plans import PlanCatalog

INDEX = "index.csv"
INDEX_COLUMNS = (
    "schema_version", "file", "account", "billing_month", "status", "total_usd", "currency", "digest", "bytes", "sha256",
)  # fmt: skip
INDEX_SCHEMA_VERSION = 1

_IN_MEMORY_BYTES = 1 << 20
_READ_BYTES = 1 << 16
_COMPRESSED = ("pdf", "xlsx")  # their formats are compressed already
_LONGEST_NAME = 100


class ArchiveScope(Struct, frozen=True):
    """Which statements (None: all accounts, every month), and in which formats.

    ``through`` is the current month, for months with nothing but a fee; None: no such month.
    """

    account: str | None
    month: int | None
    formats: Sequence[ExportFormat]
    through: int | None = None


def export_archive(
    engine: Engine, scope: ArchiveScope, catalog: PlanCatalog, *, known: frozenset[str] = frozenset()
) -> ExportedFile | UnchangedFile:
    """Return the archive, or UnchangedFile if its tag is ``known``.

    Raises NotFoundError if the account does not exist or there is no statement, and ExportSumError.
    """
    content: SpooledTemporaryFile[bytes] = SpooledTemporaryFile(max_size=_IN_MEMORY_BYTES)  # noqa: SIM115 - returned to the caller
    try:
        with read_snapshot(engine) as connection, zipfile.ZipFile(content, "w", zipfile.ZIP_DEFLATED) as archive:
            _fill(archive, connection, scope, catalog)
    except BaseException:
        content.close()
        raise
    tag, size = _digest(content)
    if is_known(tag, known):
        content.close()
        return UnchangedFile(tag)
    accounts = scope.account or "all-accounts"
    months = "all-months" if scope.month is None else format_month(scope.month)
    return ExportedFile(f"statements-{accounts}-{months}.zip", "application/zip", size, tag, content)


def _fill(archive: zipfile.ZipFile, connection: Connection, scope: ArchiveScope, catalog: PlanCatalog) -> None:
    """Write the files, then their index."""
    index: list[tuple[Cell, ...]] = []
    used_names: set[str] = {INDEX}
    for account, month in _statements(connection, scope, catalog):
        statement = statement_of_account(connection, account, month, catalog)
        for wanted in scope.formats:
            name = _free_name(statement, wanted, used_names)
            chunks = wanted.chunks(detail_of(connection, account, statement, by_day=wanted.by_day))
            size, digest = _write(archive, name, chunks, compressed=wanted.suffix in _COMPRESSED)
            index.append(_index_row(statement, name, size, digest))
    if not index:
        raise NotFoundError(f"there is no statement {_described_scope(scope)}; see `metering statements list`")
    _write(archive, INDEX, csv_chunks(INDEX_COLUMNS, index))


def _index_row(statement: Statement, name: str, size: int, digest: str) -> tuple[Cell, ...]:
    return (
        INDEX_SCHEMA_VERSION,
        escape_formula(name),
        escape_formula(statement.account),
        format_month(statement.month),
        statement.status,
        format_cents(statement.total_cents * PICO_PER_CENT),
        CURRENCY,
        statement.digest,
        size,
        digest,
    )


def _statements(connection: Connection, scope: ArchiveScope, catalog: PlanCatalog) -> Iterator[tuple[Account, int]]:
    """Yield (account, month) of each statement, by account name and month."""
    rows = accounts_by_name(connection) if scope.account is None else [find_account(connection, scope.account)]
    for row in rows:
        months = statement_months(connection, row.id, catalog, through=scope.through or 0)
        yield from ((row, month) for month in sorted(months) if scope.month in (None, month))


def _write(archive: zipfile.ZipFile, name: str, chunks: Iterator[bytes], *, compressed: bool = False) -> tuple[int, str]:
    """Write a file into the archive with a fixed date, so that equal content gives equal bytes; return its size and digest."""
    entry = zipfile.ZipInfo(name)
    entry.compress_type = zipfile.ZIP_STORED if compressed else zipfile.ZIP_DEFLATED
    entry.external_attr = 0o644 << 16
    digest, size = hashlib.sha256(), 0
    with archive.open(entry, "w") as file:
        for chunk in chunks:
            file.write(chunk)
            digest.update(chunk)
            size += len(chunk)
    return size, digest.hexdigest()


def _free_name(statement: Statement, wanted: ExportFormat, used_names: set[str]) -> str:
    """Return a unique file name that is safe to unpack anywhere, whatever characters the account name has."""
    plain = "".join(letter if letter.isalnum() or letter in "-_." else "_" for letter in statement.account)
    folder = plain.strip(".")[:_LONGEST_NAME] or "_"
    name = f"{folder}/{file_name(folder, statement.month, wanted)}"
    number = 1
    while name.casefold() in used_names:
        number += 1
        name = f"{folder}_{number}/{file_name(f'{folder}_{number}', statement.month, wanted)}"
    used_names.add(name.casefold())
    return name


def _digest(content: SpooledTemporaryFile[bytes]) -> tuple[str, int]:
    digest, size = hashlib.sha256(), 0
    content.seek(0)
    while piece := content.read(_READ_BYTES):
        digest.update(piece)
        size += len(piece)
    content.seek(0)
    return digest.hexdigest()[:32], size


def _described_scope(scope: ArchiveScope) -> str:
    account = "" if scope.account is None else f" of {scope.account[:80]!r}"
    month = "" if scope.month is None else f" of {format_month(scope.month)}"
    return f"{account}{month}".strip() or "at all"
