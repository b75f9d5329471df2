"""Webhook messages: a small JSON document, and its rendering for people in a chat.

The document is built once, when the alert is raised; every attempt sends the same bytes. ``schema_version`` increases when a
field changes or is removed; fields may be added without.
"""

import json
from typing import Any, NamedTuple

from metering.domain.alerts.alert_types import headline_of
from metering.domain.instants import format_instant
from pricing.dollars import display_nano, with_dollar_sign

SCHEMA_VERSION = 1

STANDARD = "standard"
SLACK = "slack"
FORMATS = (STANDARD, SLACK)

_LONGEST_TEXT = 2_900  # Slack accepts 3,000 in a block
_NANO, _USD = "_nano_usd", "_usd"
_OMITTED = ("version", "account", "period")


class AlertContent(NamedTuple):
    """The content of a message; ``account`` is the account's name, None if it is not about a single account."""

    type: str
    occurred_at: int
    account: str | None
    subject: str
    period: str
    threshold: int
    details: dict[str, Any]
    alert_id: int | None = None


def message_of(content: AlertContent) -> str:
    """Return the JSON document of a message."""
    return json.dumps(
        {
            "type": content.type,
            "timestamp": format_instant(content.occurred_at),
            "schema_version": SCHEMA_VERSION,
            "data": {
                "alert_id": content.alert_id,
                "account": content.account,
                "subject": content.subject,
                "period": content.period,
                "threshold": content.threshold,
                "details": content.details,
            },
        },
        ensure_ascii=False,
        separators=(",", ":"),
    )


def body_of(message: str, format_: str) -> bytes:
    """Return the request body of a message in a format: the same bytes for every attempt."""
    return (_for_slack(message) if format_ == SLACK else message).encode()


def _for_slack(message: str) -> str:
    """Return a message in the format of Slack's incoming webhooks: a line for notifications, and a block with the details."""
    document = json.loads(message)
    data = document["data"]
    account = data["account"]
    title = headline_of(document["type"]) + (f" · {account}" if account else "")
    lines = [f"*{_escaped(title)}*", f"type: {_escaped(document['type'])}"]
    lines += [f"{_escaped(label)}: {_escaped(value)}" for label, value in labeled_fields(data)]
    lines.append(f"_{document['timestamp']}_")
    text = "\n".join(lines)[:_LONGEST_TEXT]
    block = {"type": "section", "text": {"type": "mrkdwn", "text": text}}
    return json.dumps({"text": _escaped(title), "blocks": [block]}, ensure_ascii=False, separators=(",", ":"))


def labeled_fields(data: dict[str, Any]) -> list[tuple[str, str]]:
    """Return the fields for people, as (label, text). Lists and objects are for programs; the title names the account."""
    fields = [(name, data[name]) for name in ("subject", "period", "threshold") if data[name]]
    fields += [(name, value) for name, value in data["details"].items() if name not in _OMITTED and value != ""]
    labeled = []
    for name, value in fields:
        if isinstance(value, bool):
            labeled.append((name, "yes" if value else "no"))
        elif name.endswith(_NANO) and isinstance(value, int):
            labeled.append((name.removesuffix(_NANO), with_dollar_sign(display_nano(value))))
        elif isinstance(value, str | int) and not _repeats_nano(name, data["details"]):
            labeled.append((name, str(value)))
    return [(name.replace("_", " "), text) for name, text in labeled]


def _repeats_nano(name: str, details: dict[str, Any]) -> bool:
    """Whether a field states in dollars what another one states in nano-USD."""
    return name.endswith(_USD) and name.removesuffix(_USD) + _NANO in details


def _escaped(text: str) -> str:
    """Escape what Slack would read as markup: links, mentions and entities."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
