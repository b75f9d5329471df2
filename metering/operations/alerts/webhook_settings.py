"""What webhooks may reach, and what their secrets are encrypted with."""

from msgspec import Struct

from metering.domain.errors import DomainError
from metering.outbound.addresses import AddressGuard, network_of


class WebhookSettings(Struct, frozen=True):
    """``secret_keys`` empty: a file beside the database holds the key. ``guard`` says where nothing is sent."""

    secret_keys: tuple[str, ...] = ()
    guard: AddressGuard = AddressGuard()

    def __repr__(self) -> str:
        """Return what may stand in a log."""
        return f"WebhookSettings(secret_keys=<{len(self.secret_keys)}>, guard={self.guard!r})"


def guard_of(http_hosts: list[str], private: list[str]) -> AddressGuard:
    """Return the guard that lets pass what is named: hosts by http, and hosts or networks that are not public."""
    networks = {text: network_of(text) for text in private if "/" in text}
    wrong = [text for text, network in networks.items() if network is None]
    if wrong:
        raise DomainError(f"{wrong[0][:40]!r} is not a network such as 10.1.0.0/16")
    return AddressGuard(
        http_hosts=frozenset(host.lower() for host in http_hosts),
        private_hosts=frozenset(text.lower() for text in private if "/" not in text),
        private_networks=tuple(network for network in networks.values() if network is not None),
    )
