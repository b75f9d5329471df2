"""Create, list, change and delete webhook endpoints, and rotate their secrets.

``owner`` is the account that the caller is bound to, None: the operator, who sees every endpoint. For a bound caller, endpoints
of other accounts do not exist.
"""

from collections.abc import Sequence
from contextlib import suppress

from msgspec import Struct
from sqlalchemy import Connection, Engine

from metering.domain.alerts.webhook_deliveries import CANCELLED, HELD, PENDING
from metering.domain.alerts.webhook_messages import FORMATS, SLACK, STANDARD
from metering.domain.alerts.webhook_signatures import format_secret, new_secret
from metering.domain.alerts.webhooks import (
    ASKED,
    Endpoint,
    EndpointDetails,
    EndpointFilter,
    SecretPeriod,
    WebhookDisabledError,
    WebhookError,
    checked_types,
)
from metering.domain.errors import NotFoundError
from metering.domain.instants import MICROS_PER_HOUR
from metering.operations.alerts.disable_endpoint import disable_endpoint
from metering.operations.alerts.webhook_settings import WebhookSettings
from metering.operations.steps.find_account import find_account
from metering.outbound.addresses import AddressGuard
from metering.storage.accounts.accounts import account_with_id
from metering.storage.alerts.secret_box import open_box
from metering.storage.alerts.webhook_deliveries import count_by_status, end_deliveries
from metering.storage.alerts.webhook_endpoints import (
    count_endpoints,
    delete_secrets,
    end_secrets,
    endpoint_with_id,
    insert_endpoint,
    insert_secret,
    list_endpoints,
    lock_endpoint,
    set_filter,
    update_endpoint,
    valid_secrets,
)
from metering.storage.engine.database import exclusive_write, read_snapshot

DEFAULT_OVERLAP_HOURS = 24
MAX_OVERLAP_HOURS = 7 * 24
MAX_VALID_SECRETS = 5
# Per account, and for the operator: an alert inserts a delivery for each endpoint in the transaction that raises it.
MAX_ENDPOINTS = 100
MAX_DESCRIPTION_LENGTH = 200

_ONLY_OPERATOR = "an account's endpoint receives that account's alerts; only an operator's endpoint can list accounts"


class NewEndpoint(Struct, frozen=True):
    """An endpoint to create. ``account`` is its owner, None: the operator. Empty ``types`` or ``accounts``: all."""

    url: str
    account: str | None = None
    types: Sequence[str] = ()
    accounts: Sequence[str] = ()
    format: str = STANDARD
    description: str = ""


class EndpointChange(Struct, frozen=True):
    """Changes to an endpoint; None keeps a value."""

    url: str | None = None
    types: Sequence[str] | None = None
    accounts: Sequence[str] | None = None
    description: str | None = None
    enabled: bool | None = None


def create_webhook(engine: Engine, new: NewEndpoint, settings: WebhookSettings, *, now: int) -> tuple[EndpointDetails, str]:
    """Create an endpoint; return it with its secret, which is shown only once.

    Raises AddressError, WebhookError, NotFoundError for an account, and SecretKeyError.
    """
    types = checked_types(list(new.types))
    if new.format not in FORMATS:
        raise WebhookError(f"the format must be one of {', '.join(FORMATS)}, got {new.format[:40]!r}")
    if new.account is not None and new.accounts:
        raise WebhookError(_ONLY_OPERATOR)
    url, shown = _checked_url(new.url, new.format, settings.guard)
    box = open_box(engine, settings.secret_keys)
    secret = new_secret()
    with exclusive_write(engine) as connection:
        account_id = None if new.account is None else find_account(connection, new.account).id
        if count_endpoints(connection, account_id) >= MAX_ENDPOINTS:
            raise WebhookError(f"there are already {MAX_ENDPOINTS} endpoints, which is the limit; delete one first")
        accounts = frozenset(find_account(connection, name).id for name in new.accounts)
        values = {
            "url": box.encrypt(url.encode()),
            "shown_url": shown,
            "description": _checked_description(new.description),
            "format": new.format,
            "created_at": now,
        }
        endpoint_id = insert_endpoint(connection, values, EndpointFilter(account_id, types, accounts))
        insert_secret(connection, endpoint_id, box.encrypt(secret), now=now)
        return _details_of(connection, endpoint_id, now=now), format_secret(secret)


def list_webhooks(
    engine: Engine, *, owner: int | None = None, after: int = 0, limit: int | None = None, now: int
) -> list[EndpointDetails]:
    """Return endpoints with ids above ``after``, oldest first."""
    with read_snapshot(engine) as connection:
        endpoints = list_endpoints(connection, account_id=owner, after=after, limit=limit)
        return [_details(connection, each, now=now) for each in endpoints]


def show_webhook(engine: Engine, endpoint_id: int, *, owner: int | None = None, now: int) -> EndpointDetails:
    """Return an endpoint. Raises NotFoundError."""
    with read_snapshot(engine) as connection:
        return _details(connection, require_endpoint(endpoint_with_id(connection, endpoint_id), endpoint_id, owner), now=now)


def change_webhook(
    engine: Engine, endpoint_id: int, change: EndpointChange, settings: WebhookSettings, *, owner: int | None = None, now: int
) -> EndpointDetails:
    """Change an endpoint. Enabling it does not send deliveries that were held while it was disabled: redeliver them.

    Raises NotFoundError, AddressError, WebhookError and SecretKeyError.
    """
    types = None if change.types is None else checked_types(list(change.types))
    with read_snapshot(engine) as connection:
        endpoint = require_endpoint(endpoint_with_id(connection, endpoint_id), endpoint_id, owner)
    if change.url is not None:
        # Before the write transaction, because the name service may be slow.
        url, shown = _checked_url(change.url, endpoint.format, settings.guard)
        box = open_box(engine, settings.secret_keys)
    with exclusive_write(engine) as connection:
        endpoint = require_endpoint(lock_endpoint(connection, endpoint_id), endpoint_id, owner)
        if change.url is not None:
            update_endpoint(connection, endpoint_id, {"url": box.encrypt(url.encode()), "shown_url": shown})
        if change.description is not None:
            update_endpoint(connection, endpoint_id, {"description": _checked_description(change.description)})
        if types is not None or change.accounts is not None:
            set_filter(connection, endpoint_id, _changed_filter(connection, endpoint, types, change.accounts))
        if change.enabled is not None:
            _set_enabled(connection, endpoint, enabled=change.enabled, now=now)
        return _details_of(connection, endpoint_id, now=now)


def delete_webhook(engine: Engine, endpoint_id: int, *, owner: int | None = None, now: int) -> None:
    """Delete an endpoint and its secrets, and cancel its deliveries; finished ones stay in the log. Raises NotFoundError."""
    with exclusive_write(engine) as connection:
        require_endpoint(lock_endpoint(connection, endpoint_id), endpoint_id, owner)
        update_endpoint(connection, endpoint_id, {"deleted_at": now, "url": ""})
        delete_secrets(connection, endpoint_id)
        end_deliveries(connection, endpoint_id, [PENDING, HELD], CANCELLED, now=now)


def rotate_webhook(
    engine: Engine,
    endpoint_id: int,
    settings: WebhookSettings,
    *,
    overlap_hours: int = DEFAULT_OVERLAP_HOURS,
    owner: int | None = None,
    now: int,
) -> tuple[EndpointDetails, str]:
    """Give an endpoint a new secret, which is shown only once.

    Previous secrets also sign for up to ``overlap_hours`` more; 0 ends them now. This also shortens a longer overlap of an
    earlier rotation.

    Raises NotFoundError, WebhookError and SecretKeyError.
    """
    if not 0 <= overlap_hours <= MAX_OVERLAP_HOURS:
        raise WebhookError(f"the overlap must be from 0 to {MAX_OVERLAP_HOURS} hours, got {overlap_hours}")
    box, secret = open_box(engine, settings.secret_keys), new_secret()
    with exclusive_write(engine) as connection:
        require_endpoint(lock_endpoint(connection, endpoint_id), endpoint_id, owner)
        end_secrets(connection, endpoint_id, at=now + overlap_hours * MICROS_PER_HOUR)
        delete_secrets(connection, endpoint_id, expired_at=now)
        valid = valid_secrets(connection, [endpoint_id], now=now).get(endpoint_id, [])
        if len(valid) >= MAX_VALID_SECRETS:
            raise WebhookError(f"{MAX_VALID_SECRETS} secrets are valid, which is the limit; wait until one expires")
        insert_secret(connection, endpoint_id, box.encrypt(secret), now=now)
        return _details_of(connection, endpoint_id, now=now), format_secret(secret)


def require_endpoint(endpoint: Endpoint | None, endpoint_id: int, owner: int | None) -> Endpoint:
    """Return an endpoint that was looked up. Raises NotFoundError if it does not exist or is not the owner's."""
    if endpoint is None or owner not in (None, endpoint.filter.account_id):
        raise NotFoundError(f"there is no webhook endpoint {endpoint_id}; `metering webhooks list` shows all")
    return endpoint


def require_enabled(endpoint: Endpoint) -> Endpoint:
    """Return an endpoint that is enabled. Raises WebhookDisabledError."""
    if endpoint.disabled_at is not None:
        raise WebhookDisabledError(
            f"the webhook endpoint {endpoint.id} is disabled; enable it with `metering webhooks change {endpoint.id} --enable`"
        )
    return endpoint


def _details_of(connection: Connection, endpoint_id: int, *, now: int) -> EndpointDetails:
    return _details(connection, require_endpoint(endpoint_with_id(connection, endpoint_id), endpoint_id, None), now=now)


def _details(connection: Connection, endpoint: Endpoint, *, now: int) -> EndpointDetails:
    owner, accounts = endpoint.filter.account_id, endpoint.filter.accounts
    secrets = valid_secrets(connection, [endpoint.id], now=now).get(endpoint.id, [])
    return EndpointDetails(
        endpoint,
        None if owner is None else _account_name(connection, owner),
        sorted(_account_name(connection, account_id) for account_id in accounts),
        [SecretPeriod(each.created_at, each.expires_at) for each in secrets],
        count_by_status(connection, endpoint.id),
    )


def _account_name(connection: Connection, account_id: int) -> str:
    account = account_with_id(connection, account_id)
    return "" if account is None else account.name


def _checked_url(text: str, format_: str, guard: AddressGuard) -> tuple[str, str]:
    """Return a URL and the part that may be shown. A host that does not resolve is accepted: it may resolve later."""
    url = guard.read(text)
    with suppress(OSError):
        guard.reachable(url)
    shown = str(url.copy_with(raw_path=b"/")) + "…" if format_ == SLACK else str(url)
    return str(url), shown


def _changed_filter(
    connection: Connection, endpoint: Endpoint, types: frozenset[str] | None, accounts: Sequence[str] | None
) -> EndpointFilter:
    before = endpoint.filter
    if accounts and before.account_id is not None:
        raise WebhookError(_ONLY_OPERATOR)
    account_ids = before.accounts if accounts is None else frozenset(find_account(connection, name).id for name in accounts)
    return EndpointFilter(before.account_id, before.types if types is None else types, account_ids)


def _set_enabled(connection: Connection, endpoint: Endpoint, *, enabled: bool, now: int) -> None:
    if enabled and endpoint.disabled_at is not None:
        update_endpoint(connection, endpoint.id, {"disabled_at": None, "disabled_reason": "", "failing_since": None})
    elif not enabled and endpoint.disabled_at is None:
        disable_endpoint(connection, endpoint, ASKED, now=now)


def _checked_description(text: str) -> str:
    if len(text) > MAX_DESCRIPTION_LENGTH or not text.isprintable():
        raise WebhookError(f"the description must be at most {MAX_DESCRIPTION_LENGTH} printable characters")
    return text
