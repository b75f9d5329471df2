"""Webhook endpoints and the alerts they receive.

An account's endpoint receives only that account's alerts.
"""

from typing import NamedTuple

from msgspec import Struct

from metering.domain.alerts.alert_types import ALERT_TYPES
from metering.domain.errors import DomainError

# Why an endpoint is disabled: on request, it answered 410, or it failed for five days.
ASKED = "asked"
GONE = "gone"
FAILING = "failing"


class WebhookError(DomainError):
    """An invalid webhook endpoint, filter or query (``invalid_webhook``)."""

    code = "invalid_webhook"


class WebhookDisabledError(DomainError):
    """The endpoint is disabled, so nothing can be sent to it."""

    code = "webhook_disabled"


class EndpointFilter(Struct, frozen=True):
    """Which alerts an endpoint receives. ``account_id`` is the account that owns the endpoint; None: the operator.

    ``types`` empty: every type. ``accounts`` limits an operator's endpoint to some accounts; empty: all.
    """

    account_id: int | None
    types: frozenset[str] = frozenset()
    accounts: frozenset[int] = frozenset()

    def matches(self, type_: str, account_id: int | None) -> bool:
        """Whether the endpoint receives alerts of a type about an account (None: not about a single account).

        Alerts that are not about a single account belong to the operator: accounts' endpoints never receive them, and an
        operator's endpoint that is limited to some accounts only if it lists the type by name.
        """
        if self.types and type_ not in self.types:
            return False
        if self.account_id is not None:
            return account_id == self.account_id
        if account_id is None:
            return not self.accounts or type_ in self.types
        return not self.accounts or account_id in self.accounts


def checked_types(types: list[str]) -> frozenset[str]:
    """Return the types of a filter. Raises WebhookError for a type that does not exist."""
    unknown = [type_ for type_ in types if type_ not in ALERT_TYPES]
    if unknown:
        raise WebhookError(f"there is no alert type {unknown[0][:60]!r}; use {', '.join(ALERT_TYPES)}")
    return frozenset(types)


class Endpoint(NamedTuple):
    """A webhook endpoint. Times are microseconds UTC. ``shown_url`` is the URL, or only its host if the path is a secret.

    ``failing_since``: the first failure after the last success. ``disabled_reason`` is empty while it is enabled.
    """

    id: int
    filter: EndpointFilter
    shown_url: str
    description: str
    format: str
    created_at: int
    failing_since: int | None
    disabled_at: int | None
    disabled_reason: str


class SecretPeriod(NamedTuple):
    """The period in which a secret signs, in microseconds UTC; ``expires_at`` is None for the current secret."""

    created_at: int
    expires_at: int | None


class EndpointDetails(NamedTuple):
    """An endpoint, the names of its accounts, its valid secrets (newest first) and its deliveries by status."""

    endpoint: Endpoint
    account: str | None
    accounts: list[str]
    secrets: list[SecretPeriod]
    deliveries: dict[str, int]
