"""What the user, the command or the API key says about an input that its records do not say themselves."""

from msgspec import Struct


class DecodeOptions(Struct, frozen=True):
    """How to read one input. Plain values, so that it travels to another process.

    ``source`` names the input in every event's identity. ``now`` (microseconds UTC) is what "in the future" is judged by.
    ``account`` to ``key`` stand in where a record does not state them. ``zone`` is the IANA zone of times that carry none.
    ``replay_from`` shifts every time of the input so that the first valid record happened then; plausibility is judged
    after the shift. ``columns`` maps event fields to CSV columns. ``tag_fields`` names record fields to keep as tags. With
    ``require_id`` a record without an id is rejected, otherwise it gets one from its bytes.
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
