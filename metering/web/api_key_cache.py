"""A cache of the API keys that send events, because looking one up takes as long as storing an event.

A cached key that was revoked is still refused: the transaction that stores a batch checks that its key is valid.
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

MAX_CACHED = 4_096


class ApiKeyCache:
    """Principals that may send events, by the hash of their token."""

    def __init__(self) -> None:
        self._known: dict[bytes, Principal] = {}

    async def sender(self, request: Request, service: Service) -> Principal:
        """Return the principal of a request that sends events. Raises ApiProblem: unauthenticated, insufficient_scope."""
        token = bearer_of(request)
        cached = None if token is None else self._known.get(hash_of(token))
        if cached is not None:
            return cached
        principal = await run_in_threadpool(principal_of, service, token, [INGEST])
        if token is not None:
            if len(self._known) >= MAX_CACHED:
                self._known.clear()
            self._known[hash_of(token)] = principal
        return principal


async def current_sender(
    request: Request,
    service: ServiceNow,
    _: Annotated[HTTPAuthorizationCredentials | None, Security(BEARER)],
) -> Principal:
    """Return the principal that sends events."""
    api_keys: ApiKeyCache = request.app.state.api_keys
    return await api_keys.sender(request, service)


Sender = Annotated[Principal, Security(current_sender, scopes=[INGEST])]


async def check_own_account(principal: Principal, service: Service, name: str) -> None:
    """Raise NotFoundError unless ``name`` is the current name of the account that the key is bound to."""
    if principal.account is not None:
        account = await run_in_threadpool(show_account_by_id, service.engine, principal.account.id)
        replace(principal, account=account).find_account(service, name)
