"""The principal of a request: its API key, the key's scopes, and the account it is bound to.

Accounts are isolated: for a bound key, any other account is answered exactly like one that does not exist.
"""

from collections.abc import Sequence
from typing import Annotated

from fastapi import Depends, Request, Security
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer, SecurityScopes
from msgspec import Struct

from metering.domain.accounts.accounts import Account, AccountNotFoundError
from metering.domain.accounts.api_keys import ADMIN, BILLING, READ, ApiKey
from metering.operations.accounts.manage_accounts import show_account, show_account_by_id
from metering.operations.accounts.manage_keys import check_token
from metering.operations.service.open_service import Service
from metering.web.problems import ApiProblem

BEARER = HTTPBearer(
    auto_error=False,
    scheme_name="apiKey",
    bearerFormat="hfm_<prefix>_<secret>",
    description="A key created with `metering keys create` or `POST /v1/keys`. Each call lists the scope it needs; `admin`"
    " includes all others.",
)


class Principal(Struct, frozen=True):
    """A valid key, and the account it is bound to under its current name (None: all accounts)."""

    key: ApiKey
    account: Account | None

    def find_account(self, service: Service, name: str | None) -> Account:
        """Return the account that a request names. Default for a bound key: its account.

        Raises NotFoundError for an account that does not exist or that the key may not access, and ApiProblem
        ``account_required``.
        """
        if self.account is not None:
            if name not in (None, self.account.name):
                raise AccountNotFoundError(str(name))
            return self.account
        if name is None:
            raise ApiProblem("account_required", "name the account; only a bound key may omit it")
        return show_account(service.engine, name)

    def account_or_all(self, service: Service, name: str | None) -> Account | None:
        """Return the account that a request names; None, for all accounts, if an unbound key names none."""
        if name is None and self.account is None:
            return None
        return self.find_account(service, name)

    def require_unbound(self) -> None:
        """Raise ApiProblem ``bound_key`` unless the key may access all accounts."""
        if self.account is not None:
            raise ApiProblem("bound_key", "this affects all accounts; use a key that is not bound to one")


async def current_service(request: Request) -> Service:
    """Return the application's service."""
    service: Service = request.app.state.service
    return service


ServiceNow = Annotated[Service, Depends(current_service)]


def current_principal(
    needed: SecurityScopes,
    service: ServiceNow,
    credentials: Annotated[HTTPAuthorizationCredentials | None, Security(BEARER)],
) -> Principal:
    """Return the principal of a request. Raises ApiProblem: unauthenticated, insufficient_scope."""
    return principal_of(service, None if credentials is None else credentials.credentials, needed.scopes)


def bearer_of(request: Request) -> str | None:
    """Return the bearer token of a request, or None."""
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    return token.strip() if scheme.lower() == "bearer" and token.strip() else None


def principal_of(service: Service, token: str | None, scopes: Sequence[str]) -> Principal:
    """Return the principal of a token, if its key has the scopes. Raises ApiProblem."""
    if token is None:
        raise _unauthenticated("send an API key as `Authorization: Bearer hfm_...`", "")
    key = check_token(service.engine, token)
    if key is None:
        raise _unauthenticated("the key is invalid or was revoked", ', error="invalid_token"')
    for scope in scopes:
        if not key.allows(scope):
            challenge = f'Bearer realm="metering", error="insufficient_scope", scope="{scope}"'
            raise ApiProblem(
                "insufficient_scope", f"the key lacks the scope {scope!r}", headers={"www-authenticate": challenge}
            )
    account = None
    if key.account_id is not None:
        account = show_account_by_id(service.engine, key.account_id)
        if account is None:
            raise _unauthenticated("the key's account does not exist", ', error="invalid_token"')
    return Principal(key, account)


Reader = Annotated[Principal, Security(current_principal, scopes=[READ])]
Biller = Annotated[Principal, Security(current_principal, scopes=[BILLING])]
Admin = Annotated[Principal, Security(current_principal, scopes=[ADMIN])]


def _unauthenticated(detail: str, error: str) -> ApiProblem:
    return ApiProblem("unauthenticated", detail, headers={"www-authenticate": f'Bearer realm="metering"{error}'})
