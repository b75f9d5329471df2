"""A filter by a name that nothing has finds nothing: said on stderr, because no answer looks like the answer zero."""

from collections.abc import Collection

from metering.cli.terminal.output import warn
from metering.cli.terminal.sanitize import sanitize

_LONGEST = 80


def warn_unknown_name(name: str | None, known: Collection[str] | None, what: str) -> None:
    """Say that there is no such name; ``what`` has a place for it. None as ``known``: nobody can tell."""
    if name is None or known is None or name in known:
        return
    alike = sorted(each for each in known if each.casefold() == name.casefold())
    hint = f"; there is '{sanitize(alike[0])}'" if alike else ""
    warn(what.format(f"'{sanitize(name[:_LONGEST])}'") + hint)
