"""One row of the settings: name, where its value goes, kind, default and help."""

from collections.abc import Mapping
from typing import Generic, TypeVar

from msgspec import Struct

from metering.domain.errors import DomainError
from metering.operations.service.setting_kinds import Kind

_SHOWN_CHARACTERS = 40

T = TypeVar("T")


class SettingsError(DomainError):
    """A ``METERING_*`` variable with a value that is not allowed, or that is not a setting."""

    code = "invalid_setting"


class Setting(Struct, Generic[T], frozen=True):
    """One environment variable.

    ``field`` is where its value goes in Settings (``sync.max_factor``). ``secret``: the value is never shown.
    """

    name: str
    field: str
    kind: Kind[T]
    default: T
    help: str
    secret: bool = False

    @property
    def default_text(self) -> str:
        """The default as it would be set."""
        return "" if self.default is None else self.kind.write(self.default)

    def value_in(self, environment: Mapping[str, str]) -> T:
        """Return the value that an environment sets, or the default. Raises SettingsError."""
        text = environment.get(self.name)
        if text is None:
            return self.default
        try:
            return self.kind.read(text)
        except ValueError as error:
            got = f", got {text[:_SHOWN_CHARACTERS]!r}" if self.kind.repeat and not self.secret else ""
            reason = f" ({error})" if isinstance(error, DomainError) and got else ""
            raise SettingsError(f"{self.name} must be {self.kind.allowed}{got}{reason}") from None
