"""The formats a statement can be exported in. A writer is imported when it is used, as some need slow libraries."""

from collections.abc import Iterable, Iterator
from functools import partial
from importlib import import_module

from msgspec import Struct
from msgspec.structs import replace

from metering.domain.errors import DomainError
from metering.domain.statements.month_detail import MonthDetail
from metering.exports.focus_columns import FocusVersion


class UnknownExportError(DomainError):
    """The export format does not exist."""

    code = "unknown_export"


class ExportFormat(Struct, frozen=True):
    """One format. ``writer`` is the function that writes it, as ``module:name``; ``by_day``: it needs the statement's days."""

    name: str
    suffix: str
    media_type: str
    writer: str
    summary: str
    by_day: bool = False
    focus_version: FocusVersion | None = None

    def chunks(self, detail: MonthDetail) -> Iterator[bytes]:
        """Yield the file in chunks. Raises ExportSumError if it would not agree with the statement."""
        module, _, name = self.writer.partition(":")
        write = getattr(import_module(module), name)
        if self.focus_version is not None:
            write = partial(write, version=self.focus_version)
        chunks: Iterator[bytes] = write(detail)
        return chunks


_CSV_TYPE = "text/csv; charset=utf-8; header=present"
_XLSX_TYPE = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"
_WRITERS = "metering.exports."

FORMATS = {
    each.name: each
    for each in (
        ExportFormat("csv", "csv", _CSV_TYPE, _WRITERS + "statement_csv:statement_csv", "one row per line"),
        ExportFormat("json", "json", "application/json", _WRITERS + "statement_json:statement_file", "every field"),
        ExportFormat("html", "html", "text/html; charset=utf-8", _WRITERS + "statement_html:statement_html", "to read, print"),
        ExportFormat("pdf", "pdf", "application/pdf", _WRITERS + "statement_pdf:statement_pdf", "to read, send"),
        ExportFormat("xlsx", "xlsx", _XLSX_TYPE, _WRITERS + "statement_xlsx:statement_xlsx", "the CSV as a workbook"),
        ExportFormat("daily", "csv", _CSV_TYPE, _WRITERS + "daily_csv:daily_csv", "one row per day and series", by_day=True),
        ExportFormat(
            "focus", "csv", _CSV_TYPE, _WRITERS + "focus_csv:focus_csv", "for FinOps tools",
            by_day=True, focus_version=FocusVersion.V1_2,
        ),
    )
}  # fmt: skip


def export_format(name: str, focus_version: str | None = None) -> ExportFormat:
    """Return a format by name. Raises UnknownExportError, also for a FOCUS version with a different format."""
    if name not in FORMATS:
        raise UnknownExportError(f"there is no export format {name[:40]!r}; formats are {', '.join(FORMATS)}")
    found = FORMATS[name]
    if focus_version is None:
        return found
    versions = [version.value for version in FocusVersion]
    if found.focus_version is None or focus_version not in versions:
        raise UnknownExportError(
            f"a FOCUS version ({' or '.join(versions)}) applies to the focus format only; got {focus_version[:40]!r} for {name}"
        )
    return replace(found, focus_version=FocusVersion(focus_version))


def several_formats(names: Iterable[str], focus_version: str | None = None) -> list[ExportFormat]:
    """Return formats by name, each once; the FOCUS version applies to the focus format.

    Raises UnknownExportError.
    """
    found = [export_format(name) for name in dict.fromkeys(names)]
    versioned = [each.name for each in found if each.focus_version is not None]
    if focus_version is None:
        return found
    if not versioned:
        raise UnknownExportError("a FOCUS version applies to the focus format only, which is not among the formats requested")
    return [export_format(each.name, focus_version) if each.name in versioned else each for each in found]
