"""What the exchanges of one sidecar share."""

import asyncio
from collections.abc import Coroutine
from typing import Any

from metering.domain.usage.events import UNKNOWN
from metering.domain.usage.model_names import PROVIDERS, provider_name, split_model
from metering.sidecar.proxy import Gate, Meter, ProxyLimits
from metering.sidecar.upstream import Upstream

MAX_REMEMBERED_MODELS = 1_000


class ModelSet:
    """A bounded set of models."""

    def __init__(self) -> None:
        self._models: set[str] = set()

    def add(self, model: str) -> None:
        """Remember a model; past the bound, all others are forgotten."""
        if len(self._models) >= MAX_REMEMBERED_MODELS:
            self._models.clear()
        self._models.add(model)

    def __contains__(self, model: object) -> bool:
        return model in self._models


class Passing:
    """The upstream, the meter, the budgets' gate, and the exchanges that are under way."""

    def __init__(
        self, upstream: Upstream, meter: Meter, gate: Gate, limits: ProxyLimits, *, refuses_when_full: bool = False
    ) -> None:
        self.upstream = upstream
        self.meter = meter
        self.gate = gate
        self.limits = limits
        self.refuse_usage = ModelSet()
        self.exchanges: set[Any] = set()
        self.is_stopping = False
        self._refuses_when_full = refuses_when_full
        self._tasks: set[asyncio.Task[None]] = set()

    @property
    def refuses_requests(self) -> bool:
        """Whether requests are refused, because what they use could not be recorded."""
        return self._refuses_when_full and self.meter.journal.is_full

    def run(self, work: Coroutine[Any, Any, None]) -> None:
        """Run a coroutine next to the connections."""
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def provider_of(self, path: str, model: str) -> str:
        """Return the provider that a request names, in its path or as the suffix of its model; else ``unknown``."""
        named = provider_name(path.lstrip("/").partition("/")[0])
        if named in PROVIDERS:
            return named
        return split_model(model, UNKNOWN)[1] if model else UNKNOWN
