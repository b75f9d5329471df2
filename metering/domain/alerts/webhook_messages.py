"""What a webhook says: one small JSON document, and the same for people who read it in a chat.

The document is made once, when the alert is raised, and every attempt sends the same bytes. ``schema_version`` goes up when
something that was there changes; fields may be added without.
"""

import json
from typing import Any, NamedTuple

from metering.domain.instants import format_instant

SCHEMA_VERSION = 1

STANDARD = "standard"
SLACK = "slack"
FORMATS = (STANDARD, SLACK)

_LONGEST_TEXT = 2_900  # Slack takes 3,000 in a block


class AlertContent(NamedTuple):
    """What a message is about; ``account`` is the account's name, None where it is about no single one."""

    type: str
    occurred_at: int
    account: str | None
    subject: str
    period: str
    threshold: int
    details: dict[str, Any]
    alert_id: int | None = None


def message_of(told: AlertContent) -> str:
    """Return the document of a message."""
    return json.dumps(
        {
            "type": told.type,
            "timestamp": format_instant(told.occurred_at),
            "schema_version": SCHEMA_VERSION,
            "data": {
                "alert_id": told.alert_id,
                "account": told.account,
                "subject": told.subject,
                "period": told.period,
                "threshold": told.threshold,
                "details": told.details,
            },
        },
        ensure_ascii=False,
        separators=(",", ":"),
    )


def body_of(message: str, format_: str) -> bytes:
    """Return what is sent of a message to an endpoint of a format: the same bytes whenever it is sent."""
    return (_for_slack(message) if format_ == SLACK else message).encode()


def _for_slack(message: str) -> str:
    """Return a message as an incoming webhook of Slack takes it: a line for notifications, and a block with the particulars."""
    document = json.loads(message)
    data = document["data"]
    account = data["account"]
    title = f"{document['type']}{f' · {account}' if account else ''}"
    lines = [f"*{_escaped(title)}*", *(f"{_escaped(name)}: {_escaped(value)}" for name, value in _particulars(data))]
    lines.append(f"_{document['timestamp']}_")
    text = "\n".join(lines)[:_LONGEST_TEXT]
    block = {"type": "section", "text": {"type": "mrkdwn", "text": text}}
    return json.dumps({"text": _escaped(title), "blocks": [block]}, ensure_ascii=False, separators=(",", ":"))


def _particulars(data: dict[str, Any]) -> list[tuple[str, str]]:
    named = [(name, data[name]) for name in ("subject", "period", "threshold") if data[name]]
    # Lists and objects are for programs; the alert itself has them.
    plain = [(name, value) for name, value in data["details"].items() if isinstance(value, str | int) and value != ""]
    return [(name.replace("_", " "), str(value)) for name, value in (*named, *plain)]


def _escaped(text: str) -> str:
    """Write a text so that nothing in it is Slack's mark-up: a link, a mention, a heading."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
