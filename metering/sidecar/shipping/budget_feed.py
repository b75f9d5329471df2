"""Publish the budgets that block to the proxy, and answer for rates. A separate thread, so that large batches delay neither.

Nothing is published before the proxy has announced the accounts that it has seen: a view without them would open the gate. Then
a view of the budgets is published about once a second, when an account is announced, and soon after events were stored; less
often if reading takes long, but at least every five seconds.
"""

import logging
import select
import socket
import threading
import time

from sqlalchemy.exc import DBAPIError

from metering.operations.budgets.blocking_view import BlockingBudgets
from metering.operations.budgets.request_rates import RateQuestion, request_rates
from metering.operations.service.open_service import Service
from metering.sidecar.budget_messages import (
    Announcement,
    AnswerRates,
    AskForRates,
    Frames,
    FromShipping,
    PublishView,
    decode_from_proxy,
    framed,
    sent_rates,
)
from metering.sidecar.shipping.stored_position import StoredPosition

_EVERY_SECONDS = 1.0
_LEAST_SECONDS = 0.1
_MOST_SECONDS = 5.0
_SHARE = 5
_SEND_SECONDS = 10.0
_RECEIVED_BYTES = 256 * 1024

_log = logging.getLogger(__name__)


class BudgetFeed:
    """Serves one proxy over ``connection``."""

    def __init__(self, service: Service, stored: StoredPosition, connection: socket.socket) -> None:
        self._service = service
        self._stored = stored
        self._connection = connection
        self._frames = Frames()
        self._budgets = BlockingBudgets(service.engine, service.catalog, service.clock, service.settings.ingest.declared_tags)
        self._names: set[str] = set()
        self._is_announced = False
        self._is_asked = False
        self._has_blocking = False
        self._published_position = -1
        self._last_error = ""

    def start(self) -> None:
        """Serve in a thread until the proxy closes the connection."""
        threading.Thread(target=self.run, name="budgets", daemon=True).start()

    def run(self) -> None:
        """Serve until the proxy closes the connection."""
        self._connection.settimeout(_SEND_SECONDS)
        due = soonest = time.monotonic()
        try:
            while True:
                now = time.monotonic()
                if self._is_announced and (now >= due or (now >= soonest and self._has_news())):
                    self._publish()
                    took = time.monotonic() - now
                    soonest = now + min(max(_LEAST_SECONDS, _SHARE * took), _MOST_SECONDS)
                    due = max(soonest, now + _EVERY_SECONDS)
                # Without budgets that block, there is nothing to publish before the second is over.
                wait = _LEAST_SECONDS if self._has_blocking else _EVERY_SECONDS
                until = soonest if self._is_asked else min(max(due, now), time.monotonic() + wait)
                if not self._receive(max(0.0, until - time.monotonic())):
                    return
        except OSError as error:
            _log.warning("the sidecar no longer listens to what budgets have left: %s", error)
        finally:
            self._connection.close()

    def _has_news(self) -> bool:
        return self._is_asked or (self._has_blocking and self._stored.position != self._published_position)

    def _receive(self, seconds: float) -> bool:
        """Take what the proxy sends within some time; False: it has closed the connection."""
        if not select.select([self._connection], [], [], seconds)[0]:
            return True
        data = self._connection.recv(_RECEIVED_BYTES)
        for payload in self._frames.feed(data):
            message = decode_from_proxy(payload)
            if isinstance(message, Announcement):
                self._take(message)
            else:
                self._answer(message)
        return bool(data)

    def _take(self, announcement: Announcement) -> None:
        if announcement.is_whole:
            self._names.clear()
        self._names.update(announcement.names)
        self._stored.announced = announcement.position
        self._is_asked = self._is_asked or not self._is_announced or bool(announcement.names)
        self._is_announced = True

    def _answer(self, asked: AskForRates) -> None:
        question = RateQuestion(asked.account, asked.provider, asked.model, asked.operation, asked.is_routed)
        service = self._service
        try:
            rates = request_rates(service.engine, service.ingester.price_book(), question, now=service.clock())
        except DBAPIError as error:
            self._warn("rates cannot be read now", error)
            return
        self._send(AnswerRates(asked.number, sent_rates(rates)))

    def _publish(self) -> None:
        position = self._stored.position
        try:
            view = self._budgets.read(self._names, self._stored.unchanged)
        except DBAPIError as error:
            self._warn("budgets cannot be read now", error)
            return
        except Exception:
            _log.exception("budgets cannot be read")
            return
        if view is None:
            return
        self._is_asked = False
        self._has_blocking = view.has_blocking
        self._published_position = position
        self._last_error = ""
        self._send(PublishView(view))

    def _send(self, message: FromShipping) -> None:
        self._connection.sendall(framed(message))

    def _warn(self, what: str, error: DBAPIError) -> None:
        reason = str(error.orig).split("\n", 1)[0][:300]
        if reason != self._last_error:
            _log.warning("%s: %s", what, reason)
        self._last_error = reason
