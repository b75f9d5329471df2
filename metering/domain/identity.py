"""An event counts once: identity, content digest, and the ids that tie copies together.

Identity is (account, source, id), for ever. The digest covers what decides a charge and nothing else: time, provider,
model, operation, route, status and quantities, as the record stated them.
"""

from hashlib import blake2b

from metering.domain.events import UsageEvent
from pricing.quantities import amounts_of

# Shorter ids ("1", "req-42") repeat by accident; providers' own have at least 16 characters.
MIN_CLAIM_LENGTH = 12
CLAIM_WINDOW_MICROS = 3_600_000_000


def identity_of(account_id: int, source: str, event_id: str) -> bytes:
    """Return the 16 bytes under which an event is stored once. Injective framing: no two triples collide by joining."""
    return blake2b(f"{account_id}\x1f{len(source)}\x1f{source}{event_id}".encode(), digest_size=16).digest()


def fingerprint_of(event: UsageEvent) -> int:
    """Return the content digest as a signed 64-bit integer.

    The route is the one the record stated, so that changing an account's settings never makes a conflict of a duplicate.
    """
    content = (
        event.time, event.provider, event.model, event.operation, event.route, event.status,
        *amounts_of(event.quantities),
    )  # fmt: skip
    return int.from_bytes(blake2b(repr(content).encode(), digest_size=8).digest(), signed=True)


def claims_of(event: UsageEvent, account_id: int) -> list[int]:
    """Return what the event claims by its response id and ``Inference-Id``, as signed 64-bit integers.

    Records of other sources with the same claim, within an hour and with the same output, are copies of it. The account is
    part of the claim: accounts are walls.
    """
    claims = []
    for kind, value in (("r", event.response_id), ("i", event.inference_id)):
        if len(value) >= MIN_CLAIM_LENGTH:
            content = f"{account_id}\x1f{kind}\x1f{event.provider}\x1f{event.quantities.output_tokens}\x1f{value}"
            claims.append(int.from_bytes(blake2b(content.encode(), digest_size=8).digest(), signed=True))
    return claims


def raw_digest(raw: bytes) -> str:
    """Return the hex digest under which a raw record is known: in quarantine, and as the id of a record without one."""
    return blake2b(raw, digest_size=16).hexdigest()
