"""Create, list, change, rotate and delete endpoints of webhooks.

``owner`` is the account that a caller is bound to, None: the operator, who sees every endpoint. For a bound caller what belongs
elsewhere does not exist.
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
# Of an account, and of the operator: an alert is written for each that asks for it, in the transaction that raises it.
MAX_ENDPOINTS = 100
LONGEST_DESCRIPTION = 200


class NewEndpoint(Struct, frozen=True):
    """An endpoint to make. ``account``: whose it is, None the operator's. ``types`` empty: all; ``accounts`` empty: all."""

    url: str
    account: str | None = None
    types: Sequence[str] = ()
    accounts: Sequence[str] = ()
    format: str = STANDARD
    description: str = ""


class EndpointChange(Struct, frozen=True):
    """What is to be another; None stays."""

    url: str | None = None
    types: Sequence[str] | None = None
    accounts: Sequence[str] | None = None
    description: str | None = None
    enabled: bool | None = None


def create_webhook(engine: Engine, wanted: NewEndpoint, settings: WebhookSettings, *, now: int) -> tuple[EndpointDetails, str]:
    """Create an endpoint; return it with its secret, which is shown this once.

    Raises AddressError, WebhookError, NotFoundError for an account, SecretKeyError.
    """
    types = checked_types(list(wanted.types))
    if wanted.format not in FORMATS:
        raise WebhookError(f"a format is one of {', '.join(FORMATS)}, got {wanted.format[:40]!r}")
    if wanted.account is not None and wanted.accounts:
        raise WebhookError("an endpoint of an account is sent that account's alerts; only the operator's is narrowed to some")
    url, shown = _checked(wanted.url, wanted.format, settings.guard)
    box = open_box(engine, settings.secret_keys)
    secret = new_secret()
    with exclusive_write(engine) as connection:
        account_id = None if wanted.account is None else find_account(connection, wanted.account).id
        if count_endpoints(connection, account_id) >= MAX_ENDPOINTS:
            raise WebhookError(f"there are {MAX_ENDPOINTS} endpoints already; delete one that is not needed any more")
        accounts = frozenset(find_account(connection, name).id for name in wanted.accounts)
        values = {
            "url": box.encrypt(url.encode()),
            "shown_url": shown,
            "description": _description(wanted.description),
            "format": wanted.format,
            "created_at": now,
        }
        endpoint_id = insert_endpoint(connection, values, EndpointFilter(account_id, types, accounts))
        insert_secret(connection, endpoint_id, box.encrypt(secret), now=now)
        return _endpoint(connection, endpoint_id, now=now), format_secret(secret)


def list_webhooks(
    engine: Engine, *, owner: int | None = None, after: int = 0, limit: int | None = None, now: int
) -> list[EndpointDetails]:
    """Return endpoints with ids above ``after``, oldest first; with ``owner`` those of that account."""
    with read_snapshot(engine) as connection:
        rows = list_endpoints(connection, account_id=owner, after=after, limit=limit)
        return [_told(connection, row, now=now) for row in rows]


def show_webhook(engine: Engine, endpoint_id: int, *, owner: int | None = None, now: int) -> EndpointDetails:
    """Return an endpoint. Raises NotFoundError."""
    with read_snapshot(engine) as connection:
        return _told(connection, require_endpoint(endpoint_with_id(connection, endpoint_id), endpoint_id, owner), now=now)


def change_webhook(
    engine: Engine, endpoint_id: int, change: EndpointChange, settings: WebhookSettings, *, owner: int | None = None, now: int
) -> EndpointDetails:
    """Change an endpoint. What was held while it was disabled is not sent by enabling it: that is asked for.

    Raises NotFoundError, AddressError, WebhookError, SecretKeyError.
    """
    types = None if change.types is None else checked_types(list(change.types))
    with read_snapshot(engine) as connection:
        row = require_endpoint(endpoint_with_id(connection, endpoint_id), endpoint_id, owner)
    if change.url is not None:
        # Looked up before the transaction: a name service may take its time.
        address, box = _checked(change.url, row.format, settings.guard), open_box(engine, settings.secret_keys)
    with exclusive_write(engine) as connection:
        row = require_endpoint(lock_endpoint(connection, endpoint_id), endpoint_id, owner)
        if change.url is not None:
            update_endpoint(connection, endpoint_id, {"url": box.encrypt(address[0].encode()), "shown_url": address[1]})
        if change.description is not None:
            update_endpoint(connection, endpoint_id, {"description": _description(change.description)})
        if types is not None or change.accounts is not None:
            set_filter(connection, endpoint_id, _filter(connection, row, types, change.accounts))
        if change.enabled is not None:
            _enable(connection, row, enabled=change.enabled, now=now)
        return _endpoint(connection, endpoint_id, now=now)


def delete_webhook(engine: Engine, endpoint_id: int, *, owner: int | None = None, now: int) -> None:
    """Delete an endpoint, its secrets, and what was to be sent to it; the log of what was sent stays. Raises NotFoundError."""
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
    """Give an endpoint a new secret, shown this once; former ones sign beside it for ``overlap_hours`` more, 0: no longer.

    That is the most, also for one that an earlier rotation had given longer.

    Raises NotFoundError, WebhookError, SecretKeyError.
    """
    if not 0 <= overlap_hours <= MAX_OVERLAP_HOURS:
        raise WebhookError(f"both secrets are valid for 0 to {MAX_OVERLAP_HOURS} hours, got {overlap_hours}")
    box, secret = open_box(engine, settings.secret_keys), new_secret()
    with exclusive_write(engine) as connection:
        require_endpoint(lock_endpoint(connection, endpoint_id), endpoint_id, owner)
        end_secrets(connection, endpoint_id, at=now + overlap_hours * MICROS_PER_HOUR)
        delete_secrets(connection, endpoint_id, expired_at=now)
        valid = valid_secrets(connection, [endpoint_id], now=now).get(endpoint_id, [])
        if len(valid) >= MAX_VALID_SECRETS:
            raise WebhookError(f"{MAX_VALID_SECRETS} secrets are valid already; the first of them ends by itself")
        insert_secret(connection, endpoint_id, box.encrypt(secret), now=now)
        return _endpoint(connection, endpoint_id, now=now), format_secret(secret)


def require_endpoint(row: Endpoint | None, endpoint_id: int, owner: int | None) -> Endpoint:
    """Return the row that was looked for. Raises NotFoundError where there is none, or it is not the owner's."""
    if row is None or owner not in (None, row.filter.account_id):
        raise NotFoundError(f"there is no webhook endpoint {endpoint_id}")
    return row


def _endpoint(connection: Connection, endpoint_id: int, *, now: int) -> EndpointDetails:
    return _told(connection, require_endpoint(endpoint_with_id(connection, endpoint_id), endpoint_id, None), now=now)


def _told(connection: Connection, row: Endpoint, *, now: int) -> EndpointDetails:
    secrets = valid_secrets(connection, [row.id], now=now).get(row.id, [])
    return EndpointDetails(
        row,
        None if row.filter.account_id is None else _name(connection, row.filter.account_id),
        sorted(_name(connection, account_id) for account_id in row.filter.accounts),
        [SecretPeriod(each.created_at, each.expires_at) for each in secrets],
        count_by_status(connection, row.id),
    )


def _name(connection: Connection, account_id: int) -> str:
    account = account_with_id(connection, account_id)
    return "" if account is None else account.name


def _checked(text: str, format_: str, guard: AddressGuard) -> tuple[str, str]:
    """Return an address, and what may be shown of it. A name that resolves to nothing now may do so later."""
    url = guard.read(text)
    with suppress(OSError):
        guard.reachable(url)
    shown = str(url.copy_with(raw_path=b"/")) + "…" if format_ == SLACK else str(url)
    return str(url), shown


def _filter(
    connection: Connection, row: Endpoint, types: frozenset[str] | None, accounts: Sequence[str] | None
) -> EndpointFilter:
    if accounts and row.filter.account_id is not None:
        raise WebhookError("an endpoint of an account is sent that account's alerts; only the operator's is narrowed to some")
    named = row.filter.accounts if accounts is None else frozenset(find_account(connection, name).id for name in accounts)
    return EndpointFilter(row.filter.account_id, row.filter.types if types is None else types, named)


def _enable(connection: Connection, row: Endpoint, *, enabled: bool, now: int) -> None:
    if enabled and row.disabled_at is not None:
        update_endpoint(connection, row.id, {"disabled_at": None, "disabled_reason": "", "failing_since": None})
    elif not enabled and row.disabled_at is None:
        disable_endpoint(connection, row, ASKED, now=now)


def _description(text: str) -> str:
    if len(text) > LONGEST_DESCRIPTION or not text.isprintable():
        raise WebhookError(f"a description has at most {LONGEST_DESCRIPTION} printable characters")
    return text
