"""Endpoints of webhooks: which alerts each is sent, and what becomes of a delivery.

Accounts are walls here as everywhere: an endpoint of an account is sent that account's alerts and no others.
"""

from typing import NamedTuple

from msgspec import Struct

from metering.domain.alerts.alert_types import ALERT_TYPES
from metering.domain.errors import DomainError

ASKED = "asked"
GONE = "gone"
FAILING = "failing"


class WebhookError(DomainError):
    """An endpoint that can not be as it is asked for (``invalid_webhook``)."""

    code = "invalid_webhook"


class WebhookDisabledError(DomainError):
    """Nothing is sent to an endpoint that is disabled."""

    code = "webhook_disabled"


class EndpointFilter(Struct, frozen=True):
    """Which alerts an endpoint asks for. ``account_id`` is whose endpoint it is, None: the operator's.

    ``types`` empty: every type. ``accounts`` narrows an operator's endpoint to some accounts; empty: all.
    """

    account_id: int | None
    types: frozenset[str] = frozenset()
    accounts: frozenset[int] = frozenset()

    def takes(self, type_: str, account_id: int | None) -> bool:
        """Whether it asks for alerts of the type about the account (None: about no single one).

        What is about no single account is the operator's: no endpoint of an account is sent it, and one that is narrowed to
        some accounts only where it asks for the type by name.
        """
        if self.types and type_ not in self.types:
            return False
        if self.account_id is not None:
            return account_id == self.account_id
        if account_id is None:
            return not self.accounts or type_ in self.types
        return not self.accounts or account_id in self.accounts


def checked_types(types: list[str]) -> frozenset[str]:
    """Return the types of a filter. Raises WebhookError for one that nobody raises."""
    unknown = [type_ for type_ in types if type_ not in ALERT_TYPES]
    if unknown:
        raise WebhookError(f"no alert has the type {unknown[0][:60]!r}; there are {', '.join(ALERT_TYPES)}")
    return frozenset(types)


class Endpoint(NamedTuple):
    """An endpoint; times in microseconds UTC. ``url`` is encrypted, ``shown_url`` is what may be shown of it."""

    id: int
    filter: EndpointFilter
    url: str
    shown_url: str
    description: str
    format: str
    created_at: int
    failing_since: int | None
    disabled_at: int | None
    disabled_reason: str


class SecretPeriod(NamedTuple):
    """Since when a signing secret is valid, and until when; ``expires_at`` None: it is the current one."""

    created_at: int
    expires_at: int | None


class EndpointDetails(NamedTuple):
    """An endpoint, the names of its accounts, when its valid secrets sign and its deliveries by status."""

    row: Endpoint
    account: str | None
    accounts: list[str]
    secrets: list[SecretPeriod]
    deliveries: dict[str, int]
