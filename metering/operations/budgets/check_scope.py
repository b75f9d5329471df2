"""What of a budget's scope nothing has so far: allowed, because usage may come, and said, because it may be a slip."""

from sqlalchemy import Engine

from metering.domain.budgets.budgets import Scope
from metering.domain.charges.spend import TAG_PREFIX
from metering.storage.engine.database import read_snapshot
from metering.storage.prices.price_tables import names_in_rates
from metering.storage.usage.series import names_in_series


def check_scope(engine: Engine, scope: Scope, declared_tags: frozenset[str]) -> list[str]:
    """Return a sentence for each value that neither usage nor a price list has, and for each tag that is not declared."""
    remarks = []
    with read_snapshot(engine) as connection:
        for name, values in scope.items():
            if name.startswith(TAG_PREFIX):
                tag = name.removeprefix(TAG_PREFIX)
                if tag not in declared_tags:
                    remarks.append(
                        f"the tag {tag!r} is not declared (METERING_DECLARED_TAGS), so that usage is not summed by it and this"
                        " budget stays at zero"
                    )
                continue
            known = names_in_series(connection, name)
            if name in ("provider", "model"):
                known |= names_in_rates(connection, name)
            remarks += [f"no usage so far has the {name} {value!r}" for value in values if value not in known]
    return remarks
