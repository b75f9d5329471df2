"""Settings of webhooks: where they may be sent, and the keys that encrypt their secrets."""

from msgspec import Struct

from metering.domain.errors import DomainError
from metering.outbound.addresses import AddressGuard, network_of


class WebhookSettings(Struct, frozen=True):
    """``secret_keys`` empty: the key file next to the database. ``guard`` decides where webhooks may be sent."""

    secret_keys: tuple[str, ...] = ()
    guard: AddressGuard = AddressGuard()

    def __repr__(self) -> str:
        """Return a form without secrets, for logs."""
        return f"WebhookSettings(secret_keys=<{len(self.secret_keys)}>, guard={self.guard!r})"


def guard_of(http_hosts: list[str], private: list[str]) -> AddressGuard:
    """Return a guard that allows hosts over http, and hosts or networks that are not public. Raises DomainError."""
    networks = {text: network_of(text) for text in private if "/" in text}
    wrong = [text for text, network in networks.items() if network is None]
    if wrong:
        raise DomainError(f"{wrong[0][:40]!r} is not a valid network; use one such as 10.1.0.0/16")
    return AddressGuard(
        http_hosts=frozenset(host.lower() for host in http_hosts),
        private_hosts=frozenset(text.lower() for text in private if "/" not in text),
        private_networks=tuple(network for network in networks.values() if network is not None),
    )
