"""Ships a journal to the API of another service: ``python -m metering.sidecar.shipping.to_service START``."""

import os
import threading

from metering.operations.service.sidecar_settings import SidecarStart
from metering.sidecar.shipping.journal_shipping import ship_journal
from metering.sidecar.shipping.service_store import ServiceStore
from metering.sidecar.shipping.stored_position import StoredPosition


def _service(start: SidecarStart, finishing: threading.Event, stored: StoredPosition) -> ServiceStore:
    del stored  # no budgets are published
    del finishing  # nothing is waited for: a service that is away is found when events are sent
    return ServiceStore(start.service, os.environ.get("METERING_SIDECAR_SERVICE_KEY", ""))


if __name__ == "__main__":
    ship_journal(_service)
