"""The messages about budgets between the proxy and the process that stores events: msgpack, each after its length.

The proxy announces account names that it has seen, and asks for rates. The other one publishes the blocking budgets of these
accounts, and answers.
"""

import struct
from collections.abc import Iterable, Iterator

import msgspec
from msgspec import Struct

from metering.domain.budgets.blocking import BlockingView
from pricing.rates import Price, Rate

MAX_MESSAGE_BYTES = 64 * 1024 * 1024
_LENGTH = struct.Struct(">I")


class Announcement(Struct, frozen=True, tag="announcement", array_like=True):
    """Account names whose budgets are to be published, in addition to the earlier ones or, with ``is_whole``, in their place.

    ``position`` is that of the last record in the journal.
    """

    names: list[str]
    position: int
    is_whole: bool = False


class AskForRates(Struct, frozen=True, tag="ask", array_like=True):
    """A question for the rates of a kind of request (see ``request_rates.RateQuestion``). The answer has its number."""

    number: int
    account: str
    provider: str
    model: str
    operation: str
    is_routed: bool


class SentRate(Struct, frozen=True, array_like=True):
    """One rate, as it is sent. ``prices`` are (pico-USD, block) by kind."""

    provider: str
    model: str
    context_from: int
    prices: dict[str, tuple[int, int]]


class AnswerRates(Struct, frozen=True, tag="rates", array_like=True):
    """The rates that were asked for; none if there is no price."""

    number: int
    rates: list[SentRate]


class PublishView(Struct, frozen=True, tag="view", array_like=True):
    """The blocking budgets now."""

    view: BlockingView


FromProxy = Announcement | AskForRates
FromShipping = AnswerRates | PublishView

_encode = msgspec.msgpack.Encoder().encode
decode_from_proxy = msgspec.msgpack.Decoder(FromProxy).decode
decode_from_shipping = msgspec.msgpack.Decoder(FromShipping).decode


def framed(message: FromProxy | FromShipping) -> bytes:
    """Return a message as it is sent."""
    payload = _encode(message)
    return _LENGTH.pack(len(payload)) + payload


class Frames:
    """Takes bytes apart into messages."""

    def __init__(self) -> None:
        self._rest = bytearray()

    def feed(self, data: bytes) -> Iterator[bytes]:
        """Yield the messages that are complete with ``data``. Raises ValueError for a length that cannot be right."""
        rest = self._rest
        rest += data
        while len(rest) >= _LENGTH.size:
            (length,) = _LENGTH.unpack_from(rest)
            if length > MAX_MESSAGE_BYTES:
                raise ValueError(f"a message has {length:,} bytes")
            end = _LENGTH.size + length
            if len(rest) < end:
                return
            payload = bytes(rest[_LENGTH.size : end])
            del rest[:end]
            yield payload


def sent_rates(rates: Iterable[Rate]) -> list[SentRate]:
    """Return rates as they are sent."""
    return [
        SentRate(
            rate.provider,
            rate.model,
            rate.context_from,
            {kind: (price.pico, price.block) for kind, price in rate.prices.items()},
        )
        for rate in rates
    ]


def received_rate(sent: SentRate) -> Rate:
    """Return a rate that was sent."""
    return Rate(
        provider=sent.provider,
        model=sent.model,
        context_from=sent.context_from,
        prices={kind: Price(pico, block) for kind, (pico, block) in sent.prices.items()},
    )
