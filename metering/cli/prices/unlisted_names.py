"""Warnings for prices of a provider or price list that does not exist."""

from metering.cli.unknown_names import warn_unknown_name
from metering.domain.usage.model_names import provider_name
from metering.operations.prices.list_names import listed_names
from metering.operations.service.open_service import Service


def warn_unlisted_names(service: Service, provider: str | None, source: str | None) -> None:
    """Warn about a provider or source that no price list has. None is not checked."""
    if provider is None and source is None:
        return
    listed = listed_names(service.engine)
    warn_unknown_name(source, listed.sources, "no price list is called {}")
    warn_unknown_name(
        None if provider is None else provider_name(provider), listed.providers, "no price list has the provider {}"
    )
