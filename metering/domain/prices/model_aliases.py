"""Recorded model names of one's own: when each was added and removed."""

from msgspec import Struct

from pricing.own_names import OwnName


class ModelAlias(Struct, frozen=True):
    """A name of one's own with when it was added and, if it was, removed (microseconds UTC)."""

    own_name: OwnName
    created_at: int
    removed_at: int | None = None

    def counts_at(self, instant: int | None) -> bool:
        """Whether it was there at an instant; None: now."""
        if instant is None:
            return self.removed_at is None
        return self.created_at <= instant and (self.removed_at is None or instant < self.removed_at)


class AliasChange(Struct, frozen=True):
    """The result of adding or removing an alias.

    ``is_new`` is False if the same one was there, or was removed before. ``has_price``: some price list has the model at the
    provider. ``charged_events`` were unpriced and are charged now; None: charging was not requested.
    """

    alias: ModelAlias
    is_new: bool
    has_price: bool = True
    charged_events: int | None = None
    charged_nano: int | None = None
