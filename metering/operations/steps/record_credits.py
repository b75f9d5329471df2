"""Writing entries of the credits ledger. No grant is ever overdrawn: what would be is not written."""

from collections.abc import Sequence

from msgspec.structs import replace
from sqlalchemy import Connection

from metering.domain.credits.credit_ledger import CreditEntry, EntryKind, GrantKey, grant_key
from metering.domain.credits.credits import CreditGrant
from metering.domain.errors import DomainError
from metering.storage.credits.credits import insert_entries, insert_grant, overdrawn_grants


class OverdrawnError(DomainError):
    """A movement would leave less than nothing of a grant."""

    code = "credits_overdrawn"


def record_entries(connection: Connection, account_id: int, entries: Sequence[CreditEntry], *, now: int) -> None:
    """Append entries in their order; an included grant that has no id yet is recorded with its first one.

    Raises OverdrawnError: the transaction is to be rolled back.
    """
    made: dict[GrantKey, CreditGrant] = {}
    written = []
    for entry in entries:
        key = grant_key(entry.grant)
        if entry.kind is EntryKind.GRANT and not entry.grant.id:
            made[key] = replace(entry.grant, id=insert_grant(connection, account_id, entry.grant))
        written.append(replace(entry, grant=made.get(key, entry.grant)))
    insert_entries(connection, account_id, written, now=now)
    overdrawn = overdrawn_grants(connection, account_id) if written else []
    if overdrawn:
        _, grant_id, left = overdrawn[0]
        raise OverdrawnError(f"of credit grant {grant_id} {left} nano-USD would be left; nothing was written")
