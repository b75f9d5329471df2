"""What a webhook says, and that Slack's mark-up in it is only ours."""

import json

from metering.domain.alerts.webhook_messages import SLACK, STANDARD, AlertContent, body_of, message_of
from support.builders import NOW

TOLD = AlertContent(
    "budget.threshold_reached", NOW, "acme", "budget:7", "2026-11", 80, {"budget": "prod", "spent_usd": "400.12"}, 12
)


def test_the_document_is_the_one_of_the_documentation():
    assert json.loads(body_of(message_of(TOLD), STANDARD)) == {
        "type": "budget.threshold_reached",
        "timestamp": "2026-11-23T10:00:00.000000Z",
        "schema_version": 1,
        "data": {
            "alert_id": 12,
            "account": "acme",
            "subject": "budget:7",
            "period": "2026-11",
            "threshold": 80,
            "details": {"budget": "prod", "spent_usd": "400.12"},
        },
    }


def test_slack_gets_a_line_and_a_block():
    assert json.loads(body_of(message_of(TOLD), SLACK)) == {
        "text": "budget.threshold_reached · acme",
        "blocks": [
            {
                "type": "section",
                "text": {
                    "type": "mrkdwn",
                    "text": "*budget.threshold_reached · acme*\nsubject: budget:7\nperiod: 2026-11\nthreshold: 80\n"
                    "budget: prod\nspent usd: 400.12\n_2026-11-23T10:00:00.000000Z_",
                },
            }
        ],
    }


def test_a_name_can_not_mention_anybody_in_slack():
    told = TOLD._replace(account="<!channel> & co", details={"name": "<https://evil.example|bill>", "list": [1], "empty": ""})
    sent = body_of(message_of(told), SLACK).decode()
    assert "<" not in sent
    assert "&lt;!channel&gt; &amp; co" in sent
    assert "list" not in json.loads(sent)["blocks"][0]["text"]["text"]


def test_a_long_alert_fits_into_a_block_of_slack():
    told = TOLD._replace(details={f"field {n}": "x" * 100 for n in range(100)})
    block = json.loads(body_of(message_of(told), SLACK))["blocks"][0]
    assert len(block["text"]["text"]) <= 3_000
