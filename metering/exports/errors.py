"""What can go wrong with an export."""

from metering.domain.errors import DomainError


class ExportSumError(DomainError):
    """The rows of an export do not add up to the statement: the file would be wrong, so there is none."""

    code = "export_does_not_add_up"
