"""Appending entries to the credit ledger. An entry that would overdraw a grant is refused."""

from collections.abc import Sequence

from msgspec.structs import replace
from sqlalchemy import Connection

from metering.domain.credits.credit_ledger import CreditEntry, EntryKind, GrantKey, grant_key
from metering.domain.credits.credits import CreditGrant
from metering.domain.errors import DomainError
from metering.storage.credits.credits import insert_entries, insert_grant, overdrawn_grants


class OverdrawnError(DomainError):
    """An entry would make the balance of a grant negative."""

    code = "credits_overdrawn"


def record_entries(connection: Connection, account_id: int, entries: Sequence[CreditEntry], *, now: int) -> None:
    """Append entries in order; included credits that have no id yet are recorded with their first entry.

    Raises OverdrawnError; the caller must roll back the transaction.
    """
    new_grants: dict[GrantKey, CreditGrant] = {}
    written = []
    for entry in entries:
        key = grant_key(entry.grant)
        if entry.kind is EntryKind.GRANT and not entry.grant.id:
            new_grants[key] = replace(entry.grant, id=insert_grant(connection, account_id, entry.grant))
        written.append(replace(entry, grant=new_grants.get(key, entry.grant)))
    insert_entries(connection, account_id, written, now=now)
    overdrawn = overdrawn_grants(connection, account_id) if written else []
    if overdrawn:
        raise OverdrawnError(
            f"credit grant {overdrawn[0].grant_id} would be left with {overdrawn[0].left_nano} nano-USD; nothing was written"
        )
