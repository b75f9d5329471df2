"""A series: the distinct combination of account, provider, model, operation, route, project, key and declared tags.

Spend is summed per series, so their number is bounded: past the cap of an account, the dimensions that callers make up
(project, key, tags) say ``(other)`` and the values stay on the event; past twice the cap, the model does too.
"""

from typing import NamedTuple

OTHER = "(other)"
DEFAULT_SERIES_CAP = 10_000


class SeriesKey(NamedTuple):
    """What events of one series share; ``tags`` is canonical JSON of the declared tags, empty for none."""

    account_id: int
    provider: str
    model: str
    operation: str
    route: str
    project: str
    key: str
    tags: str


def fold_series(key: SeriesKey, existing: int, cap: int) -> SeriesKey:
    """Return the series that takes the place of a new one in an account that has ``existing`` series."""
    if existing < cap:
        return key
    narrowed = key._replace(project=OTHER, key=OTHER, tags=OTHER)
    return narrowed if existing < 2 * cap else narrowed._replace(model=OTHER, operation=OTHER)
