"""Suggestions for unknown names, and a warning for filters by them: without it, an empty answer would look like zero."""

from collections.abc import Collection

from metering.cli.terminal.output import warn
from metering.cli.terminal.sanitize import sanitize
from metering.domain.nearest_name import did_you_mean

_LONGEST = 80


def warn_unknown_name(name: str | None, known: Collection[str] | None, what: str) -> None:
    """Warn on stderr about an unknown name; ``what`` is the message, with ``{}`` for the name. ``known`` None: do nothing."""
    if name is None or known is None or name in known:
        return
    warn(what.format(f"'{sanitize(name[:_LONGEST])}'") + sanitize(did_you_mean(name[:_LONGEST], known)))
