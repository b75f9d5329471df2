"""The gate in front of the upstream: requests that a blocking budget has no room for are refused.

The process that stores events publishes the budgets of the accounts that requests name, with what is stored; what is reserved
and what is not stored yet is counted here (``metering.domain.budgets.reservations``). On one sidecar, spending passes a limit
only by what requests cost more than they reserved (``reservation_size``). N sidecars know of each other what is stored, so they
can pass it by at most N - 1 times what was left when each last heard of it, which is usually less than two seconds ago.

Budgets are unknown until they are first published, and again if nothing was published for KNOWN_SECONDS. Then the setting
METERING_SIDECAR_WHEN_UNKNOWN decides. A request waits at most WAIT_SECONDS for what is not known yet.
"""

import asyncio
import logging
from collections.abc import Callable

from msgspec.structs import replace

from metering.domain.budgets.blocking import BilledAccount, BlockingView, CountedRequest
from metering.domain.budgets.reservations import Reservation, ReservationLedger
from metering.domain.instants import MICROS_PER_SECOND
from metering.domain.usage.charging import is_billable, route_of
from metering.domain.usage.events import UsageEvent
from metering.formats.openai_exchange import ROUTER_HOST
from metering.sidecar.budget_messages import Announcement, AnswerRates, AskForRates, FromProxy, FromShipping
from metering.sidecar.budget_refusals import budgets_unknown, exceeded
from metering.sidecar.offered_rates import Offer, OfferedRates
from metering.sidecar.proxy import EnteringRequest, Hold, NoHold, now_micros
from metering.sidecar.refusals import Refusal
from metering.sidecar.reservation_size import reserved_nano

KNOWN_SECONDS = 30.0
WAIT_SECONDS = 1.0
# A process that is just starting needs a moment to open the database.
START_SECONDS = 5.0
MAX_NAMES = 10_000
_MISSING_SECONDS = 3.0

_log = logging.getLogger(__name__)


class BudgetGate:
    """Lets requests through, or refuses them. ``is_closed`` is kept up to date, so that asking it costs nothing.

    ``host`` is the upstream's, as the reader of events sees it. ``position`` returns that of the journal. A reservation that is
    neither settled nor released expires after ``lifetime_seconds``.
    """

    def __init__(self, host: str, position: Callable[[], int], lifetime_seconds: float, *, refuses_unknown: bool) -> None:
        self.is_closed = True
        self.ledger = ReservationLedger()
        self._is_routed = host == ROUTER_HOST
        self._position = position
        self._lifetime = round(lifetime_seconds * MICROS_PER_SECOND)
        self._refuses_unknown = refuses_unknown
        self._loop = asyncio.get_running_loop()
        self._rates = OfferedRates(self._ask, host)
        self._view = BlockingView(0, {}, [], [], has_blocking=False)
        self._known_until = 0.0
        self._start_until = self._loop.time() + START_SECONDS
        self._names: dict[str, float] = {}
        self._announced_position = 0
        self._send: Callable[[FromProxy], None] | None = None
        self._news = asyncio.Event()

    # Messages of the process that stores events.

    def connect(self, send: Callable[[FromProxy], None]) -> None:
        """Send messages with ``send`` from now on."""
        self._send = send
        self._names = dict.fromkeys(self._names, self._loop.time())
        self._announce(list(self._names), is_whole=True)

    def disconnect(self, send: Callable[[FromProxy], None]) -> None:
        """Send no more messages with ``send``."""
        if self._send == send:
            self._send = None

    def receive(self, message: FromShipping) -> None:
        """Take a message."""
        now = self._loop.time()
        if isinstance(message, AnswerRates):
            self._rates.answered(message.number, message.rates, now)
        else:
            self._view = message.view
            self._known_until = now + KNOWN_SECONDS
            self.ledger.refresh(message.view.budgets, message.view.as_of)
            self._update(now)
            self._announce_missing(now)
        news, self._news = self._news, asyncio.Event()
        news.set()

    def tick(self) -> None:
        """Do what is due from time to time: expire reservations, and notice that budgets have become unknown."""
        self.ledger.expire(now_micros())
        self._update(self._loop.time())
        if self._position() != self._announced_position:
            self._announce([])

    # Requests.

    def try_enter(self, request: EnteringRequest) -> Refusal | Hold | None:
        """Reserve what the request can cost, or refuse it; None if it is worth waiting for what is not known."""
        try:
            return self._try_enter(request)
        except Exception:
            _log.exception("budgets cannot be checked")
            return budgets_unknown() if self._refuses_unknown else _UNCOUNTED

    def _try_enter(self, request: EnteringRequest) -> Refusal | Hold | None:
        now = self._loop.time()
        if now >= self._known_until:
            is_starting = not self._known_until and now < self._start_until
            return None if is_starting else self._enter_unknown(request)
        if not self._view.has_blocking:
            return _UNCOUNTED
        account = self._view.accounts.get(request.caller.account)
        if account is None:
            return None if self._is_new(request.caller.account, now) else self._enter_unknown(request)
        if not self.ledger.blocks_account(account.id):
            return _UNCOUNTED
        offer = self._rates.offer(request, now)
        if offer.by_provider is None:
            if now < offer.asked_at + WAIT_SECONDS:
                return None
            if self._refuses_unknown:
                return budgets_unknown()
        return self._reserve(request, account, offer, enforce=True)

    async def enter(self, request: EnteringRequest) -> Refusal | Hold:
        """Wait for what is not known, at most WAIT_SECONDS."""
        try:
            async with asyncio.timeout(WAIT_SECONDS):
                while (entered := self.try_enter(request)) is None:
                    await self._news.wait()
        except TimeoutError:
            return self._enter_unknown(request)
        return entered

    def settle(self, reservation: Reservation, offer: Offer, event: UsageEvent, position: int | None) -> None:
        """Replace a reservation with what its request cost; with what was reserved if its rate is not known."""
        amount = self._rates.charge_nano(event, offer)
        counted = reservation.request
        if (event.provider,) != counted.providers or event.model != counted.model:
            counted = replace(counted, providers=(event.provider,), model=event.model)
        self.ledger.settle(reservation, reservation.amount_nano if amount is None else amount, position, counted)

    def _enter_unknown(self, request: EnteringRequest) -> Refusal | Hold:
        """Refuse a request whose budgets are not known, or let it through; what is known of them counts it."""
        if self._refuses_unknown:
            return budgets_unknown()
        account = self._view.accounts.get(request.caller.account)
        if account is None or not self.ledger.blocks_account(account.id):
            return _UNCOUNTED
        return self._reserve(request, account, self._rates.offer(request, self._loop.time()), enforce=False)

    def _reserve(self, request: EnteringRequest, account: BilledAccount, offer: Offer, *, enforce: bool) -> Refusal | Hold:
        caller = request.caller
        counted = CountedRequest(
            account.id,
            offer.providers,
            offer.key.model,
            caller.project,
            caller.key,
            {name: caller.tags[name] for name in self._view.declared_tags if name in caller.tags},
            self._is_routed or is_billable(route_of("", request.provider, account.default_route)),
        )
        reserved = self.ledger.reserve(
            counted,
            reserved_nano(request, offer.key.operation, offer.dearest),
            now=request.started,
            expires_at=request.started + self._lifetime,
            enforce=enforce,
        )
        if isinstance(reserved, Reservation):
            return _BudgetHold(self, reserved, offer)
        return exceeded(reserved, request.started)

    def _is_new(self, name: str, now: float) -> bool:
        """Whether the budgets of an account may still be published: its name was announced only a moment ago."""
        if name not in self._names:
            is_whole = len(self._names) >= MAX_NAMES
            if is_whole:
                self._names = {each: at for each, at in self._names.items() if self._blocks(each)}
            self._names[name] = now
            self._announce(list(self._names) if is_whole else [name], is_whole=is_whole)
        return now < self._names[name] + WAIT_SECONDS

    def _announce_missing(self, now: float) -> None:
        """Announce all names again if one is not published although it was announced: a message may have been dropped."""
        accounts = self._view.accounts
        if self._view.has_blocking and any(
            at < now - _MISSING_SECONDS and name not in accounts for name, at in self._names.items()
        ):
            self._names = dict.fromkeys(self._names, now)
            self._announce(list(self._names), is_whole=True)

    def _blocks(self, name: str) -> bool:
        account = self._view.accounts.get(name)
        return account is not None and self.ledger.blocks_account(account.id)

    def _update(self, now: float) -> None:
        has_blocking = self._view.has_blocking
        if now < self._known_until:
            self.is_closed = has_blocking
        else:
            is_starting = not self._known_until and now < self._start_until
            self.is_closed = self._refuses_unknown or has_blocking or is_starting

    def _announce(self, names: list[str], *, is_whole: bool = False) -> None:
        if self._send is not None:
            self._announced_position = self._position()
            self._send(Announcement(names, self._announced_position, is_whole))

    def _ask(self, offer: Offer) -> None:
        if self._send is not None:
            self._send(AskForRates(offer.number, *offer.key, self._is_routed))


class _BudgetHold:
    """A reservation, and the rates that its request can be charged at."""

    __slots__ = ("_gate", "_is_done", "_offer", "_reservation")

    def __init__(self, gate: BudgetGate, reservation: Reservation, offer: Offer) -> None:
        self._gate = gate
        self._reservation = reservation
        self._offer = offer
        self._is_done = False

    def settle(self, event: UsageEvent, position: int | None) -> None:
        """Replace the reservation with what the request cost."""
        if not self._is_done:
            self._is_done = True
            try:
                self._gate.settle(self._reservation, self._offer, event, position)
            except Exception:
                _log.exception("a charge cannot be counted in its budgets until it is stored")
                self._gate.ledger.release(self._reservation)

    def release(self) -> None:
        """Give the reservation back."""
        if not self._is_done:
            self._is_done = True
            self._gate.ledger.release(self._reservation)


_UNCOUNTED = NoHold()
