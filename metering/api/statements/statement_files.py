"""What statements have in common as files: the parameters that choose one, and the answer that holds it."""

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

# In this order where a client says that several are as welcome.
STATEMENT_FORMATS = tuple(FORMATS[name] for name in ("json", "csv", "html", "pdf", "xlsx"))
# What a browser shows instead of storing it.
SHOWN_FORMATS = ("json", "html")

_CSV_EXAMPLE = (
    "schema_version,account,billing_month,status,section,line,...\r\n"
    "1,acme,2026-11,draft,payable,total,...\r\n"
)  # fmt: skip
BYTES = {"type": "string", "format": "binary"}
FILE_CONTENT: dict[str, Any] = {
    CSV: {"schema": {"type": "string", "description": "RFC 4180, UTF-8."}, "example": _CSV_EXAMPLE},
    "text/html": {"schema": {"type": "string", "description": "A page to be read and printed."}, "example": "<!doctype html>"},
    "application/pdf": {"schema": BYTES},
    FORMATS["xlsx"].media_type: {"schema": BYTES},
}
NOT_MODIFIED: dict[int | str, dict[str, Any]] = {304: {"description": "The client has this file already."}}

# No page of ours needs more: a statement may hold names that somebody made up.
_PAGE_POLICY = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
Suffix = Annotated[Literal["csv", "json", "html", "pdf", "xlsx"], Path(description="The form of the file.", examples=["csv"])]
Profile = Annotated[
    Literal["statement", "daily", "focus"],
    Query(
        description="What the file holds: the `statement`, the days behind it (`daily`, CSV), or rows for FinOps tools as the"
        " FOCUS specification has them (`focus`, CSV).",
        examples=["statement"],
    ),
]
FocusVersionParameter = Annotated[
    Literal["1.2", "1.3"] | None,
    Query(description="Whose names the columns of `profile=focus` have. Left out: 1.2.", examples=["1.2"]),
]
ArchiveMonth = Annotated[
    str | None, Query(max_length=10, description="The billing month (UTC). Left out: every month.", examples=["2026-11"])
]
Formats = Annotated[
    list[str] | None,
    Query(alias="format", description=f"What to put in: {', '.join(FORMATS)}; `csv` if left out.", examples=[["csv,pdf"]]),
]
IfNoneMatch = Annotated[
    str | None,
    Header(max_length=4096, description="The tags of what the client has.", examples=['"2c26b46b68ffc68ff99b453c1d304134"']),
]


class FileAnswer(StreamingResponse):
    """Sends a file, and gives its room back, also where the client went away before the first byte."""

    def __init__(self, file: ExportedFile, headers: dict[str, str]) -> None:
        super().__init__(file.chunks(), media_type=file.media_type, headers=headers)
        self.file = file

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send it."""
        try:
            await super().__call__(scope, receive, send)
        finally:
            self.file.close()


def file_answer(file: ExportedFile, *, shown: bool) -> Response:
    """Return the answer that sends a file; ``shown`` in the browser or stored."""
    headers = {
        "content-length": str(file.size),
        "content-disposition": disposition(file.name, shown=shown),
        "etag": etag(file.tag),
    }
    if file.media_type.startswith("text/html"):
        headers["content-security-policy"] = _PAGE_POLICY
    return FileAnswer(file, headers)


def not_modified(tag: str) -> Response:
    """Return the answer that the client has the file already."""
    return Response(status_code=304, headers={"etag": etag(tag)})
