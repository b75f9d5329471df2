"""A filter by a name that nothing has finds nothing: said on stderr, because no answer looks like the answer zero."""

from collections.abc import Collection

from metering.cli.terminal.output import remark
from metering.cli.terminal.plain_text import plain

_LONGEST = 80


def remark_unknown(name: str | None, known: Collection[str] | None, what: str) -> None:
    """Say that there is no such name; ``what`` has a place for it. None as ``known``: nobody can tell."""
    if name is None or known is None or name in known:
        return
    alike = sorted(each for each in known if each.casefold() == name.casefold())
    hint = f"; there is '{plain(alike[0])}'" if alike else ""
    remark(what.format(f"'{plain(name[:_LONGEST])}'") + hint)
