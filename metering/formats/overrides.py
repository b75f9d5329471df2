"""The model and the provider of a whole input, instead of what its records say, on request."""

from collections.abc import Callable
from typing import Any

from msgspec.structs import replace

from metering.domain.errors import DomainError
from metering.domain.usage.events import UNKNOWN, UsageEvent
from metering.domain.usage.model_names import provider_name, split_model
from metering.formats.options import DecodeOptions


def override_of(options: DecodeOptions) -> Callable[[UsageEvent], UsageEvent] | None:
    """Return what overrides the model or the provider of events; None if nothing does.

    A model ``MODEL:PROVIDER`` also names the provider, of records that name none. Raises DomainError for an override without a
    value.
    """
    for name in options.override:
        if not getattr(options, name):
            raise DomainError(f"override-{name} needs a {name}")
    if not options.override:
        return None
    model, served = split_model(options.model)

    def override(event: UsageEvent) -> UsageEvent:
        if "model" in options.override:
            event = replace(event, model=model, provider=served if event.provider == UNKNOWN else event.provider)
        if "provider" in options.override:
            event = replace(event, provider=provider_name(options.provider))
        return event

    return override


def overriding(read: Callable[[bytes], Any], override: Callable[[UsageEvent], UsageEvent] | None) -> Callable[[bytes], Any]:
    """Return ``read``, or a version of it that overrides what records say; the default is free of cost."""
    if override is None:
        return read

    def read_overridden(raw: bytes) -> Any:
        event = read(raw)
        return override(event) if isinstance(event, UsageEvent) else event

    return read_overridden
