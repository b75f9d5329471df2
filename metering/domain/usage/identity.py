"""Identity, content digest and claims: what makes an event count once.

Identity is (account, source, id), permanently. A source that was only named after a file is not part of it: the same record in
a rotated or copied log is the same event. The content digest covers what determines a charge and nothing else: time,
provider, model, operation, route, status and quantities, as the record stated them. Claims identify copies of an event in other
sources.
"""

import re
import struct
from collections.abc import Sequence
from functools import lru_cache
from hashlib import blake2b

from msgspec.msgpack import Encoder

from metering.domain.usage.events import MAX_ID_LENGTH, UsageEvent

# Shorter IDs ("1", "req-42") repeat by accident; providers' own have at least 16 characters.
MIN_CLAIM_LENGTH = 12
CLAIM_WINDOW_MICROS = 3_600_000_000

# No source can be named like this: control characters are refused.
_ANY_FILE = "\x1ffile"

# MessagePack has one shortest encoding of each value and length-prefixes strings, so equal bytes mean equal content. It is
# three times as fast as repr.
_encode = Encoder().encode
# Copying an initialized hash takes a third less time than making one with the same settings.
_hash_of_16, _hash_of_8 = blake2b(digest_size=16).copy, blake2b(digest_size=8).copy
_signed_64 = struct.Struct(">q").unpack

_RESPONSE_ID_PREFIX = re.compile(r"(chatcmpl|cmpl|embd|resp|msg|gen|req|run|modr|rr)[-_]")
# Fewer different characters are a counter or a constant ("000000000001"), not a random ID.
_MIN_DIFFERENT_CHARACTERS = 5
_LONG_ENOUGH = MIN_CLAIM_LENGTH + len("chatcmpl-")
_DIGEST_LENGTH = 16


def record_digest(source: str, event_id: str) -> bytes:
    """Return a 16-byte digest of a record's source and ID. The length prefix keeps different pairs from joining alike."""
    hashed = _hash_of_16()
    hashed.update(f"{len(source)}\x1f{source}{event_id}".encode())
    return hashed.digest()


def file_record_digest(event_id: str) -> bytes:
    """Return the digest of a record whose source was named after its file: that of the ID, whatever the file."""
    return record_digest(_ANY_FILE, event_id)


@lru_cache(maxsize=4096)
def account_mask(account_id: int) -> int:
    """Return the 128-bit mask that sets an account's identities apart from those of other accounts."""
    return int.from_bytes(blake2b(f"account\x1f{account_id}".encode(), digest_size=16).digest(), "big")


def identity_of(digest: bytes, mask: int) -> bytes:
    """Return the 16-byte identity of an event: its record's digest under its account's mask.

    Identities of different (account, source, id) collide with probability 2^-128, as for one hash over all three. It takes two
    steps so that the record's digest can be computed where the record is decoded, before its account is known.
    """
    return (int.from_bytes(digest, "big") ^ mask).to_bytes(16, "big")


def identities_of(digests: Sequence[bytes], mask: int) -> list[bytes]:
    """Return ``identity_of`` for each digest under one account's mask, computed as one operation on one long integer."""
    size = 16 * len(digests)
    masks = int.from_bytes(mask.to_bytes(16, "big") * len(digests), "big")
    joined = (int.from_bytes(b"".join(digests), "big") ^ masks).to_bytes(size, "big")
    return [joined[start : start + 16] for start in range(0, size, 16)]


def identity_in_account(source: str, event_id: str, account_id: int) -> bytes:
    """Return the identity of a stored event or copy, from the columns of its row."""
    return identity_of(record_digest(source, event_id), account_mask(account_id))


def identity_in_files(event_id: str, account_id: int) -> bytes:
    """Return the identity of an event whose source was named after a file.

    Where files have different records with one ID, only the first has this identity; the others have that of their source.
    """
    return identity_of(file_record_digest(event_id), account_mask(account_id))


def repeated_id(event_id: str, fingerprint: int) -> str:
    """Return the ID of another request whose provider repeated a response ID: with a digest of its time and content."""
    return f"{event_id}~{fingerprint % 2**64:016x}"


def fingerprint_of(event: UsageEvent) -> int:
    """Return the content digest as a signed 64-bit integer.

    The route is the one that the record stated, so changing an account's default route never turns a duplicate into a conflict.
    Quantities are hashed by name and only if not zero, so a kind that is added later changes no digest.
    """
    content = (
        event.time, event.provider, event.model, event.operation, event.route, event.status, event.quantities,
    )  # fmt: skip
    return _hash_64(_encode(content))


def claims_of(event: UsageEvent) -> list[int]:
    """Return the event's claims, from its response ID and ``Inference-Id``, as signed 64-bit integers.

    Records of the same account from different sources with the same claim, within an hour, are copies. The provider and the
    number of output tokens are part of the claim.
    """
    claims: list[int] = []
    if event.gateway_cached:
        # It repeats the ID of the response that was cached, and is a separate request.
        return claims
    if len(event.response_id) >= MIN_CLAIM_LENGTH:
        claims.append(_claim("r", event, event.response_id))
    if len(event.inference_id) >= MIN_CLAIM_LENGTH:
        claims.append(_claim("i", event, event.inference_id))
    return claims


def may_repeat(response_id: str) -> bool:
    """Whether different responses are likely to have this ID: it is short after its prefix, or made of few characters."""
    if len(response_id) >= _LONG_ENOUGH and len(set(response_id[-8:])) >= _MIN_DIFFERENT_CHARACTERS:
        return False  # as for nearly every ID, without looking for a prefix
    prefix = _RESPONSE_ID_PREFIX.match(response_id)
    rest = response_id[prefix.end() :] if prefix else response_id
    return len(rest) < MIN_CLAIM_LENGTH or len(set(rest)) < _MIN_DIFFERENT_CHARACTERS


def id_with_content(event_id: str, event: UsageEvent) -> str:
    """Return an event ID made of one that repeats, and of the event's time and content.

    The same record again has the same ID; another record with the same ID has a different one.
    """
    return repeated_id(event_id[: MAX_ID_LENGTH - _DIGEST_LENGTH - 1], fingerprint_of(event))


def _claim(kind: str, event: UsageEvent, value: str) -> int:
    content = f"{kind}\x1f{event.provider}\x1f{event.quantities.output_tokens}\x1f{value}"
    return _hash_64(content.encode())


def _hash_64(content: bytes) -> int:
    hashed = _hash_of_8()
    hashed.update(content)
    value: int = _signed_64(hashed.digest())[0]
    return value


def raw_digest(raw: bytes) -> str:
    """Return the hex digest of a raw record: its key in quarantine, and part of the ID of a record without one."""
    return blake2b(raw, digest_size=16).hexdigest()
