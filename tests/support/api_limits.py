"""The limits that the API has in tests: small, so that they are met quickly."""

BODY_BYTES = 20_000
BATCH_EVENTS = 50
