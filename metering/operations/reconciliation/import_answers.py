"""Import what Hugging Face was told that requests cost, as the bill that it makes of it.

The first answer for an id is what is billed, for ever. Held against what the requests cost by now, a later re-rating is a
variance, and so is a request that was never asked about.
"""

import json
import tempfile
from itertools import islice
from typing import BinaryIO, cast

from msgspec.structs import replace
from sqlalchemy import Engine

from metering.domain.reconciliation.invoices import HUGGING_FACE, InvoiceError
from metering.invoices.hf_billing_answers import FORMAT
from metering.operations.reconciliation.import_invoice import ImportedInvoice, InvoiceOrder, import_invoice
from metering.operations.steps.find_account import find_account
from metering.storage.engine.database import read_snapshot
from metering.storage.reconciliation.billing_answers import answers_of_period

_A_LINE = 1_000
_IN_MEMORY = 16 * 1024 * 1024


def import_answers(engine: Engine, order: InvoiceOrder, *, now: int) -> ImportedInvoice:
    """Import the answers about requests of the order's period. Raises InvoiceError without one, and where there are none."""
    start, end = order.options.start, order.options.end
    if start is None or end is None:
        raise InvoiceError("say from when until when: answers have no period of their own", "period_required")
    with tempfile.SpooledTemporaryFile(_IN_MEMORY) as document:
        with read_snapshot(engine) as connection:
            answers = answers_of_period(connection, find_account(connection, order.account).id, start, end)
            costs = ({"requestId": each, "costNanoUsd": cost} for each, cost in answers)
            while part := list(islice(costs, _A_LINE)):
                document.write(json.dumps({"requests": part}).encode() + b"\n")
        if not document.tell():
            raise InvoiceError("Hugging Face was told of no request of this period", "empty_file")
        options = replace(order.options, biller=order.options.biller or HUGGING_FACE)
        told = replace(order, format=FORMAT, file="what Hugging Face was told", options=options)
        return import_invoice(engine, cast("BinaryIO", document), told, now=now)
