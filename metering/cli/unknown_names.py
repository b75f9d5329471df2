"""A warning for filters by unknown names: without it, an empty answer would look like zero."""

from collections.abc import Collection

from metering.cli.terminal.output import warn
from metering.cli.terminal.sanitize import sanitize

_LONGEST = 80


def warn_unknown_name(name: str | None, known: Collection[str] | None, what: str) -> None:
    """Warn on stderr about an unknown name; ``what`` is the message, with ``{}`` for the name. ``known`` None: do nothing."""
    if name is None or known is None or name in known:
        return
    alike = sorted(each for each in known if each.casefold() == name.casefold())
    hint = f"; did you mean '{sanitize(alike[0])}'?" if alike else ""
    warn(what.format(f"'{sanitize(name[:_LONGEST])}'") + hint)
