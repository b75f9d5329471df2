"""Domain errors. Each has a stable ``code``; only the edges know HTTP status numbers and exit codes."""


class DomainError(ValueError):
    """A request that cannot be fulfilled. The message states what is wrong, where, and what to do."""

    code = "invalid_request"


class NotFoundError(DomainError):
    """The named item does not exist, or belongs to another account."""

    code = "not_found"


class AlreadyExistsError(DomainError):
    """The name is taken."""

    code = "already_exists"


class InvalidTimeError(DomainError):
    """An unreadable time (``invalid_time``), one without a zone (``naive_time``), or one years off (``implausible_time``).

    One that occurs twice in its zone is an ``ambiguous_time``.
    """

    code = "invalid_time"

    def __init__(self, message: str, code: str = "invalid_time") -> None:
        super().__init__(message)
        self.code = code


class RecordError(DomainError):
    """One record of a log that cannot become an event. The rest of its batch is not affected.

    ``code`` is a stable reason; ``field`` names the invalid field. The message never contains content of the record, except
    the invalid value of a field that the service stores anyway.
    """

    def __init__(self, code: str, message: str, field: str | None = None) -> None:
        super().__init__(message)
        self.code = code
        self.field = field


class LogFormatError(DomainError):
    """An input that cannot be read as a whole.

    Its format cannot be detected (``unknown_format``), it cannot be opened (``unreadable_file``), is empty (``empty_file``), is
    cut off (``damaged_file``), is not JSON (``not_json``), or lacks a column (``missing_column``).
    """

    code = "unknown_format"

    def __init__(self, message: str, code: str = "unknown_format") -> None:
        super().__init__(message)
        self.code = code
