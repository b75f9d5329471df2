"""The settings of the sidecar, one row each."""

from typing import Any

from metering.operations.service.setting_kinds import NAMED, TEXT, YES_NO, choice, whole_number
from metering.operations.service.setting_row import Setting
from metering.operations.service.sidecar_settings import SESSION_LABELS, SYNCS, SidecarSettings

_DEFAULT = SidecarSettings()
_SECONDS = whole_number(1, 86_400)


def _words(*words: str) -> Any:
    return choice({word: word for word in words})


SIDECAR_SETTINGS: tuple[Setting[Any], ...] = (
    Setting(
        "METERING_SIDECAR_JOURNAL", "sidecar.journal", TEXT, _DEFAULT.journal,
        "The folder in which the sidecar keeps events until they are stored.",
    ),
    Setting(
        "METERING_SIDECAR_SYNC", "sidecar.sync", _words(*SYNCS), _DEFAULT.sync,
        "What a power failure can cost. `each`: nothing, but each answer waits for the disk; `group`: the last"
        " METERING_SIDECAR_SYNC_MS; `never`: what the operating system has not written, about 30 seconds. Killing the sidecar"
        " loses nothing with any of them.",
    ),
    Setting(
        "METERING_SIDECAR_SYNC_MS", "sidecar.sync_ms", whole_number(1, 60_000), _DEFAULT.sync_ms,
        "Milliseconds between two syncs of the journal with `group`.",
    ),
    Setting(
        "METERING_SIDECAR_JOURNAL_BYTES", "sidecar.journal_bytes", whole_number(1_000_000), _DEFAULT.journal_bytes,
        "Largest size of the journal. A warning is logged at half of it.",
    ),
    Setting(
        "METERING_SIDECAR_WHEN_FULL", "sidecar.when_full", _words("forward", "refuse"), _DEFAULT.when_full,
        "What happens to requests while the journal or the disk is full: `forward` them unmetered and count what was dropped,"
        " or `refuse` them with 503.",
    ),
    Setting(
        "METERING_SIDECAR_WHEN_UNKNOWN", "sidecar.when_unknown", _words("open", "closed"), _DEFAULT.when_unknown,
        "What happens to requests while blocking budgets cannot be read: `open` lets them through, `closed` refuses them.",
    ),
    Setting(
        "METERING_SIDECAR_SESSION_PER", "sidecar.session_per", choice({each or "none": each for each in SESSION_LABELS}),
        _DEFAULT.session_per,
        "Set `X-HF-Session-id` per `project`, `key` or `user` on requests without one, so that Hugging Face's cost per session"
        " can be reconciled.",
    ),
    Setting(
        "METERING_SIDECAR_IS_ROUTER", "sidecar.is_router", YES_NO, _DEFAULT.is_router,
        "Whether the upstream leads to Hugging Face's router although it has another name, such as a gateway of your own.",
    ),
    Setting(
        "METERING_SIDECAR_KEY_ACCOUNTS", "sidecar.key_accounts", NAMED, _DEFAULT.key_accounts,
        "Accounts by the label of the caller's key, as events show it (`token-1f0c9a2b7d44-wxyz=acme`), separated by commas.",
    ),
    Setting(
        "METERING_SIDECAR_SERVICE_KEY", "sidecar_service_key", TEXT, "",
        "API key with the scope `ingest`, for `metering sidecar --service URL`.", secret=True,
    ),
    Setting(
        "METERING_SIDECAR_MAX_BUFFERED_BODY", "sidecar.max_buffered_body", whole_number(65_536), _DEFAULT.max_buffered_body,
        "Largest JSON body that is read whole before it is passed on. Longer ones are passed on as they arrive.",
    ),
    Setting(
        "METERING_SIDECAR_MAX_CLIENTS", "sidecar.max_clients", whole_number(1, 100_000), _DEFAULT.max_clients,
        "Maximum number of open connections of applications.",
    ),
    Setting(
        "METERING_SIDECAR_CONNECT_SECONDS", "sidecar.connect_seconds", _SECONDS, _DEFAULT.connect_seconds,
        "How long connecting to the upstream may take.",
    ),
    Setting(
        "METERING_SIDECAR_ANSWER_SECONDS", "sidecar.answer_seconds", _SECONDS, _DEFAULT.answer_seconds,
        "How long the upstream may take to begin its answer.",
    ),
    Setting(
        "METERING_SIDECAR_ANSWER_IDLE_SECONDS", "sidecar.answer_idle_seconds", _SECONDS, _DEFAULT.answer_idle_seconds,
        "How long an answer may pause.",
    ),
    Setting(
        "METERING_SIDECAR_DRAIN_SECONDS", "sidecar.drain_seconds", _SECONDS, _DEFAULT.drain_seconds,
        "How long an answer is read on for its usage after the client has left.",
    ),
    Setting(
        "METERING_SIDECAR_SHUTDOWN_SECONDS", "sidecar.shutdown_seconds", _SECONDS, _DEFAULT.shutdown_seconds,
        "How long requests that are under way may take after the sidecar receives SIGTERM.",
    ),
)  # fmt: skip
