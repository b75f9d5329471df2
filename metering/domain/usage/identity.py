"""An event counts once: identity, content digest, and the ids that tie copies together.

Identity is (account, source, id), for ever. The digest covers what decides a charge and nothing else: time, provider,
model, operation, route, status and quantities, as the record stated them.
"""

import struct
from collections.abc import Sequence
from functools import lru_cache
from hashlib import blake2b

from msgspec.msgpack import Encoder

from metering.domain.usage.events import UsageEvent

# Shorter ids ("1", "req-42") repeat by accident; providers' own have at least 16 characters.
MIN_CLAIM_LENGTH = 12
CLAIM_WINDOW_MICROS = 3_600_000_000

# MessagePack has one shortest encoding of each value and frames strings by their length, so that equal bytes mean equal
# content; it is three times as fast as repr.
_encode = Encoder().encode
# A copy of a hash that has begun takes a third less than another one with the same settings.
_hash_of_16, _hash_of_8 = blake2b(digest_size=16).copy, blake2b(digest_size=8).copy
_signed_64 = struct.Struct(">q").unpack


def record_digest(source: str, event_id: str) -> bytes:
    """Return 16 bytes for what a record says of its identity. The length is told, so that no two pairs join alike."""
    hashed = _hash_of_16()
    hashed.update(f"{len(source)}\x1f{source}{event_id}".encode())
    return hashed.digest()


@lru_cache(maxsize=4096)
def account_mask(account_id: int) -> int:
    """Return the 128 bits by which an account's identities differ from all others'."""
    return int.from_bytes(blake2b(f"account\x1f{account_id}".encode(), digest_size=16).digest(), "big")


def identity_of(digest: bytes, mask: int) -> bytes:
    """Return the 16 bytes under which an event is stored once: its record's digest under its account's mask.

    Two identities of different (account, source, id) are equal with probability 2^-128, as for one hash over all three; in
    two steps, so that the record's digest can be made where the record is read, before its account is known.
    """
    return (int.from_bytes(digest, "big") ^ mask).to_bytes(16, "big")


def identities_of(digests: Sequence[bytes], mask: int) -> list[bytes]:
    """Return ``identity_of`` each digest, all under one account's mask, as one operation on one long number."""
    size = 16 * len(digests)
    masks = int.from_bytes(mask.to_bytes(16, "big") * len(digests), "big")
    joined = (int.from_bytes(b"".join(digests), "big") ^ masks).to_bytes(size, "big")
    return [joined[start : start + 16] for start in range(0, size, 16)]


def identity_in_account(source: str, event_id: str, account_id: int) -> bytes:
    """Return the identity of a stored event or copy, from what its row tells."""
    return identity_of(record_digest(source, event_id), account_mask(account_id))


def fingerprint_of(event: UsageEvent) -> int:
    """Return the content digest as a signed 64-bit integer.

    The route is the one the record stated, so that changing an account's settings never makes a conflict of a duplicate.
    Quantities go in by name and only where they are not zero, so that a kind added later changes no digest.
    """
    content = (
        event.time, event.provider, event.model, event.operation, event.route, event.status, event.quantities,
    )  # fmt: skip
    return _hash_64(_encode(content))


def claims_of(event: UsageEvent) -> list[int]:
    """Return what the event claims by its response id and ``Inference-Id``, as signed 64-bit integers.

    Records of the same account and of other sources with the same claim, within an hour, are copies: the provider and the
    output are part of the claim.
    """
    claims = []
    if len(event.response_id) >= MIN_CLAIM_LENGTH:
        claims.append(_claim("r", event, event.response_id))
    if len(event.inference_id) >= MIN_CLAIM_LENGTH:
        claims.append(_claim("i", event, event.inference_id))
    return claims


def _claim(kind: str, event: UsageEvent, value: str) -> int:
    content = f"{kind}\x1f{event.provider}\x1f{event.quantities.output_tokens}\x1f{value}"
    return _hash_64(content.encode())


def _hash_64(content: bytes) -> int:
    hashed = _hash_of_8()
    hashed.update(content)
    value: int = _signed_64(hashed.digest())[0]
    return value


def raw_digest(raw: bytes) -> str:
    """Return the hex digest under which a raw record is known: in quarantine, and as the id of a record without one."""
    return blake2b(raw, digest_size=16).hexdigest()
