"""Webhook messages: the documented JSON, and text for Slack whose only markup is ours."""

import json

from metering.domain.alerts.webhook_messages import SLACK, STANDARD, AlertContent, body_of, message_of
from support.builders import NOW

DETAILS = {
    "version": 1,
    "account": "acme",
    "period": "2026-11",
    "budget": "prod",
    "scope": {},
    "spent_nano_usd": 400_120_000_000,
    "spent_usd": "400.120000000",
    "late": False,
}
CONTENT = AlertContent("budget.threshold_reached", NOW, "acme", "budget:7", "2026-11", 80, DETAILS, 12)


def test_the_document_is_the_documented_one():
    assert json.loads(body_of(message_of(CONTENT), STANDARD)) == {
        "type": "budget.threshold_reached",
        "timestamp": "2026-11-23T10:00:00.000000Z",
        "schema_version": 1,
        "data": {
            "alert_id": 12,
            "account": "acme",
            "subject": "budget:7",
            "period": "2026-11",
            "threshold": 80,
            "details": DETAILS,
        },
    }


def test_slack_receives_a_line_and_a_block():
    assert json.loads(body_of(message_of(CONTENT), SLACK)) == {
        "text": "Budget threshold reached · acme",
        "blocks": [
            {
                "type": "section",
                "text": {
                    "type": "mrkdwn",
                    "text": "*Budget threshold reached · acme*\ntype: budget.threshold_reached\nsubject: budget:7\n"
                    "period: 2026-11\nthreshold: 80\nbudget: prod\nspent: $400.12\nlate: no\n_2026-11-23T10:00:00.000000Z_",
                },
            }
        ],
    }


def test_a_name_cannot_mention_anyone_in_slack():
    content = CONTENT._replace(
        account="<!channel> & co", details={"name": "<https://evil.example|bill>", "list": [1], "empty": ""}
    )
    body = body_of(message_of(content), SLACK).decode()
    assert "<" not in body
    assert "&lt;!channel&gt; &amp; co" in body
    assert "list" not in json.loads(body)["blocks"][0]["text"]["text"]


def test_a_long_alert_fits_into_one_slack_block():
    content = CONTENT._replace(details={f"field {n}": "x" * 100 for n in range(100)})
    block = json.loads(body_of(message_of(content), SLACK))["blocks"][0]
    assert len(block["text"]["text"]) <= 3_000


def test_a_type_without_a_headline_is_shown_as_it_is():
    message = message_of(CONTENT._replace(type="later.release", account=None))
    assert json.loads(body_of(message, SLACK))["text"] == "later.release"
