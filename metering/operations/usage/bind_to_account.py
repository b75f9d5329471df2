"""A key that is bound to one account writes to that account only, whatever its records name.

A record without an account belongs to the key's account. So does a record that names the account by any name it ever had, even
for a time when it had a different name. Any other name is rejected, and the rejection does not reveal whether that name exists.
"""

from collections.abc import Callable

from msgspec.structs import replace
from sqlalchemy import Connection

from metering.domain.accounts.accounts import UNASSIGNED_ID
from metering.domain.errors import NotFoundError
from metering.domain.usage.batches import Batch
from metering.domain.usage.events import RejectedRecord
from metering.domain.usage.identity import raw_digest
from metering.operations.steps.resolve_accounts import BillingAccount, ResolvedNames
from metering.storage.accounts.accounts import account_with_id

RawOf = Callable[[int, int], bytes]
"""Returns the bytes of a record by offset and length."""


class BoundNames(ResolvedNames):
    """Resolves every name to the account that a key is bound to."""

    def __init__(self, bound: BillingAccount) -> None:
        super().__init__([])
        self._bound = bound

    def always(self, name: str) -> BillingAccount:  # noqa: ARG002 - the same for every name
        """Return the account."""
        return self._bound

    def at(self, name: str, instant: int) -> BillingAccount:  # noqa: ARG002 - the same for every name and time
        """Return the account."""
        return self._bound


def bound_account(connection: Connection, account_id: int) -> BillingAccount:
    """Return the account that a key is bound to. Raises NotFoundError."""
    account = account_with_id(connection, account_id)
    if account is None:
        raise NotFoundError("the key's account does not exist")
    return BillingAccount(account.id, account.default_route)


def bind_to_account(
    batch: Batch, names: ResolvedNames, bound: BillingAccount, raw_of: RawOf | None
) -> tuple[Batch, ResolvedNames]:
    """Return the batch with the records that name another account rejected, and the names to resolve the rest by."""
    is_own = [_is_own(dimensions.account, names, bound) for dimensions in batch.dimensions]
    if all(is_own):
        return batch, BoundNames(bound)
    events = batch.events
    kept: list[int] = []
    rejected = list(batch.rejected)
    for position, (dimensions, time) in enumerate(zip(events.dimensions, events.times, strict=True)):
        own = is_own[dimensions]
        if own is None:
            holder = names.at(batch.dimensions[dimensions].account, time)
            own = holder.account_id in (bound.account_id, UNASSIGNED_ID)
        if own:
            kept.append(position)
        else:
            rejected.append(_mismatch(batch, position, raw_of))
    return replace(batch, events=events.only(kept), rejected=rejected), BoundNames(bound)


def _is_own(name: str, names: ResolvedNames, bound: BillingAccount) -> bool | None:
    """Whether the name always means the bound account; None if another account has had it too."""
    if not name:
        return True
    holders = names.holders(name)
    if bound.account_id not in holders:
        return False
    return True if holders == {bound.account_id} else None


def _mismatch(batch: Batch, position: int, raw_of: RawOf | None) -> RejectedRecord:
    event = batch.events.at(position)
    raw = raw_of(event.position.offset, event.position.length) if raw_of else b""
    reason = "the key is bound to one account and the record names another; omit the account, or use another key"
    dimensions = batch.dimensions[event.dimensions]
    kept = {"id": event.id, "account": dimensions.account, "provider": dimensions.provider, "model": dimensions.model}
    return RejectedRecord(event.position, raw_digest(raw) if raw else "", "account_mismatch", reason, "account", kept)
