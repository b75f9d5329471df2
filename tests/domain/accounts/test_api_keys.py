"""API keys: tokens, their hashes, and scopes."""

import hashlib

import pytest

from metering.domain.accounts.api_keys import ADMIN, SCOPES, ApiKey, checked_scopes, hash_of, matches, new_token, prefix_of
from metering.domain.errors import DomainError


def key(*scopes):
    return ApiKey(1, "0a1b2c", "test", None, frozenset(scopes), creates_accounts=False, created_at=0, revoked_at=None)


@pytest.mark.parametrize("scope", SCOPES)
def test_a_key_allows_its_own_scope_and_an_admin_key_every_scope(scope):
    assert key(scope).allows(scope)
    assert key(ADMIN).allows(scope)


def test_a_key_allows_no_other_scope():
    for own in SCOPES:
        assert [scope for scope in SCOPES if key(own).allows(scope)] == (list(SCOPES) if own == ADMIN else [own])
    assert not key().allows("read")


def test_a_token_has_its_prefix_and_a_secret_of_256_bits():
    prefix, token = new_token()
    start, again, secret = token.split("_")
    assert (start, again, len(secret)) == ("hfm", prefix, 64)
    assert prefix_of(token) == prefix


@pytest.mark.parametrize("token", ["", "hfm", "hfm_0a_", "hfm__ff", "xyz_0a_ff", "hfm_0a_ff_00"])
def test_a_token_of_another_form_has_no_prefix(token):
    assert prefix_of(token) is None


def test_a_token_matches_its_hash_and_no_other():
    assert hash_of("hfm_0a_ff") == hashlib.sha256(b"hfm_0a_ff").digest()
    assert matches("hfm_0a_ff", hash_of("hfm_0a_ff"))
    assert not matches("hfm_0a_fe", hash_of("hfm_0a_ff"))


@pytest.mark.parametrize("scopes", [[], ["write"], ["read", "Read"]])
def test_a_key_needs_known_scopes(scopes):
    with pytest.raises(DomainError, match="use ingest, read, metrics, billing, admin"):
        checked_scopes(scopes)


def test_a_scope_that_is_named_twice_is_one():
    assert checked_scopes(["read", "ingest", "read"]) == {"read", "ingest"}
