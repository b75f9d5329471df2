"""Where the service may be sent by somebody else's address: to the public internet, and to what the operator names.

An endpoint's address is typed in by a tenant, and the service stands inside a network that the tenant does not. So it is https,
without credentials, and every address that its name resolves to is public; else a tenant could have the service ask a metadata
service, or the database beside it. One that is not public costs the whole name: a name with two addresses would reach the other
at the next attempt.
"""

import re
import socket
from collections.abc import Callable, Sequence
from importlib import import_module
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import TYPE_CHECKING

from msgspec import Struct

from metering.domain.errors import DomainError

if TYPE_CHECKING:
    import httpx

LONGEST_ADDRESS = 2_000

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network

Resolve = Callable[[str, int], Sequence[str]]
"""(host, port) -> IP addresses. Raises OSError where there are none."""

_PORTS = {"https": 443, "http": 80}
_LAST_PORT = 65_535
_NAME = re.compile(rb"(?=.{1,254}\Z)[a-z0-9_-]{1,63}(\.[a-z0-9_-]{1,63})*\.?")
# IPv6 addresses that lead to the IPv4 address in their last, or first, 32 bits.
_TRANSLATED = (IPv6Network("64:ff9b::/96"), IPv6Network("::ffff:0:0/96"), IPv6Network("::/96"))
_SIX_TO_FOUR = IPv6Network("2002::/16")
_LOCALLY_TRANSLATED = IPv6Network("64:ff9b:1::/48")


class AddressError(DomainError):
    """An address that nothing is sent to (``forbidden_address``)."""

    code = "forbidden_address"


class AddressGuard(Struct, frozen=True):
    """What is allowed beyond the public internet by https: ``http_hosts`` may be reached by http, ``private_hosts`` (names and
    addresses as they are written) and ``private_networks`` need not be public. ``resolve`` looks a name up.
    """

    http_hosts: frozenset[str] = frozenset()
    private_hosts: frozenset[str] = frozenset()
    private_networks: tuple[Network, ...] = ()
    resolve: Resolve | None = None

    def read(self, text: str) -> "httpx.URL":
        """Return an address as a URL. Raises AddressError for one that is not allowed, whatever its name resolves to."""
        client = import_module("httpx")  # slow to import, and every command reads the settings that hold a guard
        if len(text) > LONGEST_ADDRESS:
            raise AddressError(f"an address has at most {LONGEST_ADDRESS} characters")
        try:
            url: httpx.URL = client.URL(text)
        except (client.InvalidURL, ValueError, UnicodeError):
            raise AddressError("that is not an address such as https://example.com/hooks") from None
        host = url.host
        if url.scheme not in _PORTS or not host:
            raise AddressError("an address begins with https:// and names a host")
        if _literal(host) is None and _NAME.fullmatch(url.raw_host) is None:
            raise AddressError(f"{host[:80]} is no name of a host")
        if url.port is not None and not 1 <= url.port <= _LAST_PORT:
            raise AddressError(f"a port is a number from 1 to {_LAST_PORT}")
        if url.userinfo:
            raise AddressError("an address holds no user and no password: it is shown; who sends is told by the signature")
        if "#" in text:
            raise AddressError("an address has no fragment (#…): it is not sent")
        if url.scheme == "http" and host not in self.http_hosts:
            raise AddressError(f"{host[:80]} is reached by https:// only, unless METERING_WEBHOOK_HTTP_HOSTS names it")
        literal = _literal(host)
        if literal is None and _is_number(host):
            raise AddressError(f"{host[:80]} is no name, and no address as it is usually written")
        if literal is not None:
            self._check(host, literal)
        return url

    def reachable(self, url: "httpx.URL") -> list[str]:
        """Return the IP addresses to connect to, each of which is allowed. May take as long as the name service.

        Raises AddressError, and OSError where the name resolves to nothing.
        """
        host = url.host
        if _literal(host) is not None:
            found: Sequence[str] = [host]
        else:
            found = (self.resolve or resolve)(url.raw_host.decode("ascii"), port_of(url))
        addresses = [ip_address(each) for each in dict.fromkeys(found)]
        for address in addresses:
            self._check(host, address)
        return [str(address) for address in addresses]

    def _check(self, host: str, address: Address) -> None:
        if is_public(address) or host in self.private_hosts:
            return
        if any(address in network for network in self.private_networks):
            return
        # The address is not told: a name's inner address is not for whoever typed the name in.
        raise AddressError(
            f"{host[:80]} is not on the public internet; METERING_WEBHOOK_PRIVATE_HOSTS can allow a host or a network"
        )


def resolve(host: str, port: int) -> list[str]:
    """Look a name up with the system's resolver. Raises OSError."""
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return [str(address[0]) for _, _, _, _, address in found]


def port_of(url: "httpx.URL") -> int:
    """Return the port that a URL means."""
    return url.port or _PORTS[url.scheme]


def network_of(text: str) -> Network | None:
    """Return a network as it is written in a setting; None for what is no network, such as a host's name."""
    try:
        return ip_network(text)
    except ValueError:
        return None


def is_public(address: Address) -> bool:
    """Whether an address is on the public internet, itself and where a translator would lead it."""
    if isinstance(address, IPv6Address):
        if address in _LOCALLY_TRANSLATED or address.is_site_local:
            return False
        inner = _inner(address)
        if inner is not None:
            return is_public(inner)
    return address.is_global and not (address.is_multicast or address.is_reserved or address.is_unspecified)


def _inner(address: IPv6Address) -> IPv4Address | None:
    if address in _SIX_TO_FOUR:
        return address.sixtofour
    if any(address in network for network in _TRANSLATED):
        return IPv4Address(int(address) & 0xFFFF_FFFF)
    return None


def _literal(host: str) -> Address | None:
    """Return the address that a host is written as; None for a name, and for a spelling with a zone."""
    try:
        return None if "%" in host else ip_address(host)
    except ValueError:
        return None


def _is_number(host: str) -> bool:
    """Whether a resolver would take a host for an address: its last part is a number, decimal, octal or hexadecimal."""
    last = host.rstrip(".").rpartition(".")[2].lower()
    digits = last.removeprefix("0x")
    return last.isdecimal() or (last != digits and all(digit in "0123456789abcdef" for digit in digits))
