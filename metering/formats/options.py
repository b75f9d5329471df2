"""How to read one input: what the user, the command or the API key sets for records that do not state it themselves."""

from msgspec import Struct

from metering.domain.errors import DomainError
from metering.domain.texts import control_character
from metering.domain.usage.events import MAX_NAME_LENGTH

_TEXTS = ("source", "account", "provider", "model", "operation", "project", "key")


class DecodeOptions(Struct, frozen=True):
    """How to read one input. Plain values, so that it can be passed to another process.

    ``source`` names the input in every event's identity, unless ``source_is_derived``: it is only the name of a file. ``now``
    (microseconds UTC) decides which times are in the future. ``account`` to ``key`` apply to records that do not state them.
    ``zone`` is the IANA zone of times without one. ``replay_from`` shifts every time of the input so that the first valid
    record happened then; plausibility is checked after the shift. ``columns`` maps event fields to CSV columns, or to dotted
    paths of JSON. ``tag_fields`` names record fields to keep as tags. With ``require_id``, a record without an ID is rejected;
    otherwise it gets one from its bytes. ``override`` names those of ``model`` and ``provider`` that apply to all records,
    whatever they state.
    """

    source: str
    now: int
    account: str = ""
    provider: str = ""
    model: str = ""
    operation: str = ""
    route: str = ""
    project: str = ""
    key: str = ""
    zone: str = ""
    replay_from: int | None = None
    columns: dict[str, str] = {}
    tag_fields: tuple[str, ...] = ()
    require_id: bool = False
    source_is_derived: bool = False
    override: tuple[str, ...] = ()

    def check(self) -> None:
        """Raise DomainError for a text that no record may state either: too long, or with a control character."""
        for name in _TEXTS:
            text: str = getattr(self, name)
            if not text:
                continue
            if len(text) > MAX_NAME_LENGTH:
                raise DomainError(f"{name} must have at most {MAX_NAME_LENGTH} characters, this has {len(text)}")
            if found := control_character(text):
                raise DomainError(f"{name} contains the control character {found}; remove it")
