"""Errors of the domain. Each carries a stable ``code``; only the edges know status numbers and exit codes."""


class DomainError(ValueError):
    """Something that was asked for can not be done; the message says what, where and what to do."""

    code = "invalid_request"


class NotFoundError(DomainError):
    """What was named does not exist, or belongs to another account."""

    code = "not_found"


class AlreadyExistsError(DomainError):
    """The name is taken."""

    code = "already_exists"


class InvalidTimeError(DomainError):
    """A time that can not be read (``invalid_time``), has no zone (``naive_time``) or is years away (``implausible_time``)."""

    code = "invalid_time"

    def __init__(self, message: str, code: str = "invalid_time") -> None:
        super().__init__(message)
        self.code = code


class RecordError(DomainError):
    """One record of a log that can not become an event. The rest of its batch is unharmed.

    ``code`` is stable and says what was wrong; ``field`` names where in the record. The message never repeats content of
    the record beyond the offending value of a field that the service keeps.
    """

    def __init__(self, code: str, message: str, field: str | None = None) -> None:
        super().__init__(message)
        self.code = code
        self.field = field


class LogFormatError(DomainError):
    """A whole input that can not be read.

    Its format can not be told (``unknown_format``), it can not be opened (``unreadable_file``), has nothing in it
    (``empty_file``), breaks off (``damaged_file``), is no JSON (``not_json``), or lacks a column (``missing_column``).
    """

    code = "unknown_format"

    def __init__(self, message: str, code: str = "unknown_format") -> None:
        super().__init__(message)
        self.code = code
