"""The reference of the settings in Markdown, from the settings themselves.

python -m metering.operations.service.settings_reference > docs/settings.md
"""

import sys

from metering.operations.service.settings import SETTINGS

_INTRODUCTION = """\
# Settings

Generated from the code by `python -m metering.operations.service.settings_reference > docs/settings.md`; a test checks that it
is current.

Settings are read from the environment, or from a file `.env` in the working directory; the environment takes precedence. Any
other variable that starts with `METERING_` is refused, so that a typo is noticed.

| variable | default | meaning | value |
| --- | --- | --- | --- |
"""

_NOTES = """
**`serve` fetches prices by default**, once an hour, because outdated prices go unnoticed. It is one GET of a public document,
without a token and without anything about your usage. If the router cannot be reached, `serve` logs it once, retries less and
less often (after five minutes, doubling up to a day), logs once when it works again, and keeps the current prices. When several
processes use one database, one of them fetches. `METERING_SYNC_INTERVAL_MINUTES=0` turns it off; `metering prices sync` fetches
at any time.

**`serve` closes months by default**, 72 hours after their end, or after the account's first ingest if that is later, so that
imported history does not all become corrections. A month with usage that has no price stays open, and an alert
(`statement.not_closed`) is raised once. `metering statements close --allow-unpriced` closes it anyway; its statement lists the
unpriced usage.

**Webhooks need no setting on SQLite**: without `METERING_SECRET_KEY`, a key is created at first use in a file next to the
database (`metering.db.key`) that only its owner may read. On PostgreSQL the variable is required. [Webhooks](webhooks.md)
describes how to create and replace it, and what the two lists of hosts allow.
"""


def settings_reference() -> str:
    """Return the whole reference."""
    rows = (
        f"| `{setting.name}` | {_code(setting.default_text)} | {_cell(setting.help)} | {_cell(setting.kind.allowed)} |"
        for setting in SETTINGS
    )
    return _INTRODUCTION + "\n".join(rows) + "\n" + _NOTES


def _code(text: str) -> str:
    return f"`{text}`" if text else ""


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


if __name__ == "__main__":
    sys.stdout.write(settings_reference())
