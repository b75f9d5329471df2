"""Statements as files: the parameters that choose one, and the response that sends it."""

from typing import Annotated, Any, Literal

from fastapi import Header, Path, Query, Response
from fastapi.responses import StreamingResponse
from starlette.types import Receive, Scope, Send

from metering.exports.formats import FORMATS
from metering.operations.statements.export_statement import ExportedFile
from metering.web.downloads import disposition
from metering.web.etags import etag

STATEMENT: Literal["statement"] = "statement"
CSV = "text/csv"

# In order of preference, for a client that accepts several equally.
STATEMENT_FORMATS = tuple(FORMATS[name] for name in ("json", "csv", "html", "pdf", "xlsx"))
# Formats that a browser shows instead of saving.
INLINE_FORMATS = ("json", "html")

_CSV_EXAMPLE = (
    "schema_version,account,billing_month,status,section,line,...\r\n"
    "1,acme,2026-11,draft,payable,total,...\r\n"
)  # fmt: skip
BYTES = {"type": "string", "format": "binary"}
FILE_CONTENT: dict[str, Any] = {
    CSV: {"schema": {"type": "string", "description": "RFC 4180, UTF-8."}, "example": _CSV_EXAMPLE},
    "text/html": {"schema": {"type": "string", "description": "A page to read and print."}, "example": "<!doctype html>"},
    "application/pdf": {"schema": BYTES},
    FORMATS["xlsx"].media_type: {"schema": BYTES},
}
NOT_MODIFIED: dict[int | str, dict[str, Any]] = {304: {"description": "The client has this file already."}}

# The page needs nothing else, and a statement contains names that clients choose.
_PAGE_POLICY = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
Suffix = Annotated[Literal["csv", "json", "html", "pdf", "xlsx"], Path(description="The file format.", examples=["csv"])]
Profile = Annotated[
    Literal["statement", "daily", "focus"],
    Query(
        description="Content of the file: the `statement`, its days (`daily`, CSV), or rows for FinOps tools by the FOCUS"
        " specification (`focus`, CSV).",
        examples=["statement"],
    ),
]
FocusVersionParameter = Annotated[
    Literal["1.2", "1.3"] | None,
    Query(description="Version of the column names for `profile=focus`. Default: 1.2.", examples=["1.2"]),
]
ArchiveMonth = Annotated[
    str | None, Query(max_length=10, description="The billing month (UTC). Default: every month.", examples=["2026-11"])
]
Formats = Annotated[
    list[str] | None,
    Query(alias="format", description=f"Formats of the files: {', '.join(FORMATS)}. Default: `csv`.", examples=[["csv,pdf"]]),
]
IfNoneMatch = Annotated[
    str | None,
    Header(max_length=4096, description="ETags of the files the client has.", examples=['"2c26b46b68ffc68ff99b453c1d304134"']),
]


class ExportResponse(StreamingResponse):
    """Sends a file and closes it, even if the client disconnects before the first byte."""

    def __init__(self, file: ExportedFile, headers: dict[str, str]) -> None:
        super().__init__(file.chunks(), media_type=file.media_type, headers=headers)
        self.file = file

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send the file."""
        try:
            await super().__call__(scope, receive, send)
        finally:
            self.file.close()


def file_response(file: ExportedFile, *, inline: bool) -> Response:
    """Return the response that sends a file, to be shown in the browser (``inline``) or saved."""
    headers = {
        "content-length": str(file.size),
        "content-disposition": disposition(file.name, shown=inline),
        "etag": etag(file.tag),
    }
    if file.media_type.startswith("text/html"):
        headers["content-security-policy"] = _PAGE_POLICY
    return ExportResponse(file, headers)


def not_modified(tag: str) -> Response:
    """Return the response for a client that has the file already."""
    return Response(status_code=304, headers={"etag": etag(tag)})
