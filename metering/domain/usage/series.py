"""A series: the distinct combination of account, provider, model, operation, route, project, key and declared tags.

Spend is summed per series, so their number is capped. Past an account's cap, new values of the dimensions that callers choose
(project, key, tags) are folded into ``(other)``, and the event keeps the value. Past twice the cap, so are model and operation.
"""

from typing import NamedTuple

OTHER = "(other)"
DEFAULT_SERIES_CAP = 10_000


class SeriesKey(NamedTuple):
    """The dimensions of a series; ``tags`` is canonical JSON of the declared tags, empty for none."""

    account_id: int
    provider: str
    model: str
    operation: str
    route: str
    project: str
    key: str
    tags: str


def fold_series(key: SeriesKey, existing: int, cap: int) -> SeriesKey:
    """Return the series to use for a new key in an account that has ``existing`` series."""
    if existing < cap:
        return key
    narrowed = key._replace(project=OTHER, key=OTHER, tags=OTHER)
    return narrowed if existing < 2 * cap else narrowed._replace(model=OTHER, operation=OTHER)
