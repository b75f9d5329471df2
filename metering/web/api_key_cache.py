"""Who sends events: a key is looked up once and remembered, because each look-up costs as much as storing an event.

What is remembered never lets a revoked key through: the transaction that stores a batch asks whether its key still holds.
"""

from typing import Annotated

from fastapi import Request, Security
from fastapi.security import HTTPAuthorizationCredentials
from msgspec.structs import replace
from starlette.concurrency import run_in_threadpool

from metering.domain.accounts.api_keys import INGEST, hash_of
from metering.operations.accounts.manage_accounts import show_account_by_id
from metering.operations.service.open_service import Service
from metering.web.principal import BEARER, Principal, ServiceNow, bearer_of, principal_of

MAX_REMEMBERED = 4_096


class ApiKeyCache:
    """Principals that may send events, by the hash of their token."""

    def __init__(self) -> None:
        self._known: dict[bytes, Principal] = {}

    async def sender(self, request: Request, service: Service) -> Principal:
        """Return who sends a request. Raises ApiProblem: unauthenticated, insufficient_scope."""
        token = bearer_of(request)
        remembered = None if token is None else self._known.get(hash_of(token))
        if remembered is not None:
            return remembered
        found = await run_in_threadpool(principal_of, service, token, [INGEST])
        if token is not None:
            if len(self._known) >= MAX_REMEMBERED:
                self._known.clear()
            self._known[hash_of(token)] = found
        return found


async def current_sender(
    request: Request,
    service: ServiceNow,
    _: Annotated[HTTPAuthorizationCredentials | None, Security(BEARER)],
) -> Principal:
    """Return who sends events."""
    senders: ApiKeyCache = request.app.state.senders
    return await senders.sender(request, service)


Sender = Annotated[Principal, Security(current_sender, scopes=[INGEST])]


async def check_own_account(principal: Principal, service: Service, name: str) -> None:
    """Raise NotFoundError unless ``name`` is what the account that a key is bound to is called now."""
    if principal.account is not None:
        account = await run_in_threadpool(show_account_by_id, service.engine, principal.account.id)
        replace(principal, account=account).find_account(service, name)
