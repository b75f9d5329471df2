"""Events of usual chat completions, in a fifth of the time that the reader of request logs takes.

What the reader derives from path, model and provider is remembered from the first exchange of each kind; the usage is read by
the reader's own function. An answer with anything in it that could change more is left to the reader. The event is the same.
"""

from typing import Any

from msgspec import Struct

from metering.domain.errors import RecordError
from metering.domain.usage.events import MAX_NAME_LENGTH, QuantityGrade, UsageEvent
from metering.formats.openai import HF_INFERENCE
from metering.formats.openai_usage import stated_usage
from metering.formats.stated_failures import stated_failure
from metering.formats.unread_fields import UnreadFields
from metering.formats.usage_spellings import usage_of
from metering.sidecar.exchanged import Exchanged, tags_of

MAX_KINDS = 1_000
_USUAL = frozenset({"id", "object", "created", "model", "choices", "usage", "system_fingerprint", "service_tier"})
_NO_RECORD: dict[str, Any] = {}
_PATH = "/chat/completions"


class _Kind(Struct, frozen=True):
    model: str
    provider: str
    operation: str
    route: str


class UsualEvents:
    """Makes events of exchanges of kinds that were seen before. ``unread`` counts what the reader of usage does not read."""

    def __init__(self, source: str, unread: UnreadFields) -> None:
        self._source = source
        self._unread = unread
        self._kinds: dict[tuple[Any, ...], _Kind] = {}

    def event_of(self, exchanged: Exchanged, headers: dict[str, str]) -> UsageEvent | None:
        """Return the event; None: the reader has to read the exchange."""
        kind = self._kinds.get(_key(exchanged, headers))
        statements = exchanged.statements
        if kind is None or not statements.keys() <= _USUAL or exchanged.is_partial or exchanged.facts.text:
            return None
        response_id, response_model = statements.get("id", ""), statements.get("model", "")
        if not (_is_plain(response_id) and _is_plain(response_model) and type(statements.get("usage")) is dict):
            return None
        try:
            usage = stated_usage(usage_of(statements)[0], self._unread, kind.operation)
        except RecordError:
            return None
        if usage.quantities is None or usage.estimate_reason:
            return None
        caller = exchanged.caller
        return UsageEvent(
            id=exchanged.id,
            source=self._source,
            time=exchanged.started,
            model=kind.model,
            provider=kind.provider,
            operation=kind.operation,
            account=caller.account,
            route=kind.route,
            status=exchanged.status,
            quantities=usage.quantities,
            quantity_grade=QuantityGrade.MEASURED,
            response_id=response_id,
            inference_id=headers.get("inference-id", ""),
            project=caller.project,
            key=caller.key,
            tags=tags_of(exchanged),
            latency_ms=exchanged.latency_ms,
            reported_cost_nano=usage.reported_cost_nano,
            response_model=response_model,
            failure=stated_failure(_NO_RECORD, statements),
        )

    def learn(self, exchanged: Exchanged, headers: dict[str, str], event: UsageEvent) -> None:
        """Remember what the reader derived, if it follows from what the exchange shares with others of its kind."""
        is_read = event.quantity_grade == QuantityGrade.MEASURED and 200 <= exchanged.status < 300
        if is_read and exchanged.path.endswith(_PATH) and 0 < len(exchanged.facts.model) <= MAX_NAME_LENGTH:
            media = b"" if exchanged.answer is None else exchanged.answer.value(b"content-type")
            if event.provider == HF_INFERENCE or media.startswith((b"image/", b"audio/")):
                return
            if len(self._kinds) >= MAX_KINDS:
                self._kinds.clear()
            self._kinds[_key(exchanged, headers)] = _Kind(event.model, event.provider, event.operation, event.route)


def _key(exchanged: Exchanged, headers: dict[str, str]) -> tuple[Any, ...]:
    named = headers.get("x-inference-provider")
    is_routed = "x-router-route" in headers or "x-router-model" in headers
    return exchanged.path, exchanged.facts.model, exchanged.status, named, is_routed


def _is_plain(value: object) -> bool:
    return type(value) is str and len(value) <= MAX_NAME_LENGTH and value.isascii() and "\0" not in value
