"""Store events in the database of this installation, with the operations that ``ingest`` uses."""

import logging
from collections.abc import Sequence

from sqlalchemy.exc import DataError, DBAPIError, IntegrityError, SQLAlchemyError

from metering.domain.errors import DomainError
from metering.domain.usage.batches import BatchBuilder
from metering.domain.usage.events import DecodedBlock, DecodedEvent, Position, UsageEvent
from metering.domain.usage.identity import fingerprint_of
from metering.operations.budgets.evaluate_budgets import BudgetEvaluator
from metering.operations.service.open_service import Service
from metering.operations.usage.ingest import Origin
from metering.sidecar.shipping.ship import StoreError, UnstorableError

_log = logging.getLogger(__name__)


class DatabaseStore:
    """Stores events through the ingester, and has budgets evaluated."""

    def __init__(self, service: Service, source: str) -> None:
        self._service = service
        self._source = source
        self._builder = BatchBuilder(service.settings.ingest.declared_tags)
        self._evaluator = BudgetEvaluator(service.engine, service.catalog, service.clock)
        self._is_evaluated = True

    def store(self, events: Sequence[UsageEvent]) -> None:
        """Store events in one transaction. Raises StoreError, UnstorableError."""
        decoded = [DecodedEvent(event, fingerprint_of(event), Position(0, 0, 0)) for event in events]
        batch = self._builder.batch_of(DecodedBlock(decoded, [], {}))
        try:
            self._service.ingester.ingest(batch, Origin(source=self._source))
        except (IntegrityError, DataError) as error:
            raise UnstorableError(_first_line(error)) from error
        except (
            SQLAlchemyError,
            OSError,
        ) as error:  # such as a missing permission or a server that only reads: it can be mended
            raise StoreError(_first_line(error)) from error
        except DomainError as error:
            raise UnstorableError(str(error)) from error
        self._is_evaluated = False

    def idle(self) -> None:
        """Evaluate the budgets that the stored events count in."""
        if self._is_evaluated:
            return
        try:
            self._evaluator.finish()
            self._is_evaluated = True
        except DBAPIError as error:
            _log.warning("budgets cannot be evaluated now: %s", _first_line(error))


def _first_line(error: BaseException) -> str:
    cause = error.orig if isinstance(error, DBAPIError) and error.orig is not None else error
    return str(cause).split("\n", 1)[0][:300]
