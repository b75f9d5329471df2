"""Warn about a budget scope that matches no usage: allowed, because usage may follow, but possibly a typing error."""

from sqlalchemy import Engine

from metering.domain.budgets.budgets import Scope
from metering.domain.charges.spend import TAG_PREFIX
from metering.storage.engine.database import read_snapshot
from metering.storage.prices.price_tables import names_in_rates
from metering.storage.usage.series import names_in_series


def check_scope(engine: Engine, scope: Scope, declared_tags: frozenset[str]) -> list[str]:
    """Return a warning for each value that neither usage nor a price list has, and for each tag that is not declared."""
    warnings = []
    with read_snapshot(engine) as connection:
        for name, values in scope.items():
            if name.startswith(TAG_PREFIX):
                tag = name.removeprefix(TAG_PREFIX)
                if tag not in declared_tags:
                    warnings.append(
                        f"the tag {tag!r} is not declared in METERING_DECLARED_TAGS: usage is not summed by it, so this budget"
                        " stays at zero"
                    )
                continue
            known = names_in_series(connection, name)
            if name in ("provider", "model"):
                known |= names_in_rates(connection, name)
            warnings += [f"no usage has the {name} {value!r} yet; check its spelling" for value in values if value not in known]
    return warnings
