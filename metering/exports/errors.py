"""Errors of exports."""

from metering.domain.errors import DomainError


class ExportSumError(DomainError):
    """The rows of an export do not add up to the statement. The file would be wrong, so none is written."""

    code = "export_does_not_add_up"
