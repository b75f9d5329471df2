"""Import the answers to Hugging Face's Billing API as the invoice that Hugging Face makes of them.

Hugging Face bills the first answer for a request ID. Compared with what the requests cost now, a later re-rating is a variance,
and so is a request that was never asked about.
"""

import json
import tempfile
from itertools import islice
from typing import BinaryIO, cast

from msgspec.structs import replace
from sqlalchemy import Engine

from metering.domain.reconciliation.invoices import HUGGING_FACE, InvoiceError
from metering.domain.reconciliation.records import ImportedInvoice
from metering.invoices.hf_billing_answers import FORMAT
from metering.operations.reconciliation.import_invoice import InvoiceOrder, import_invoice
from metering.operations.steps.find_account import find_account
from metering.storage.engine.database import read_snapshot
from metering.storage.reconciliation.billing_answers import answers_of_period

_ANSWERS_PER_LINE = 1_000
_MAX_IN_MEMORY = 16 * 1024 * 1024


def import_answers(engine: Engine, order: InvoiceOrder, *, now: int) -> ImportedInvoice:
    """Import the answers about requests of the order's period. Raises InvoiceError without a period or without answers."""
    start, end = order.options.start, order.options.end
    if start is None or end is None:
        raise InvoiceError("answers do not state a period; give a month, or a start and an end", "period_required")
    with tempfile.SpooledTemporaryFile(_MAX_IN_MEMORY) as document:
        with read_snapshot(engine) as connection:
            answers = answers_of_period(connection, find_account(connection, order.account).id, start, end)
            costs = ({"requestId": each, "costNanoUsd": cost} for each, cost in answers)
            while chunk := list(islice(costs, _ANSWERS_PER_LINE)):
                document.write(json.dumps({"requests": chunk}).encode() + b"\n")
        if not document.tell():
            raise InvoiceError("Hugging Face asked about no request in this period; choose another period", "empty_file")
        options = replace(order.options, biller=order.options.biller or HUGGING_FACE)
        answered = replace(order, format=FORMAT, file="answers given to Hugging Face", options=options)
        return import_invoice(engine, cast("BinaryIO", document), answered, now=now)
