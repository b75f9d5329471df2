"""Which URLs the service may send to: hosts on the public internet, and hosts or networks that the operator allows.

Tenants enter the URLs of their endpoints, but the service runs inside a network that tenants must not reach. A URL must
therefore use https without credentials, and every address its host resolves to must be public. Otherwise a tenant could make
the service call a cloud metadata service or its own database. A single address that is not public disqualifies the host: the
next attempt could connect to that one.
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

MAX_URL_LENGTH = 2_000

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network

Resolve = Callable[[str, int], Sequence[str]]
"""(host, port) -> IP addresses. Raises OSError if the host does not resolve."""

_PORTS = {"https": 443, "http": 80}
_LAST_PORT = 65_535
_NAME = re.compile(rb"(?=.{1,254}\Z)[a-z0-9_-]{1,63}(\.[a-z0-9_-]{1,63})*\.?")
# IPv6 ranges that map to the IPv4 address in the last 32 bits.
_IPV4_IN_LAST_BITS = (IPv6Network("64:ff9b::/96"), IPv6Network("::ffff:0:0/96"), IPv6Network("::/96"))
_SIX_TO_FOUR = IPv6Network("2002::/16")
_LOCALLY_TRANSLATED = IPv6Network("64:ff9b:1::/48")


class AddressError(DomainError):
    """A URL that the service does not send to (``forbidden_address``)."""

    code = "forbidden_address"


class AddressGuard(Struct, frozen=True):
    """Exceptions to "https on the public internet only".

    ``http_hosts`` may use http. ``private_hosts`` (names and addresses, compared as written) and ``private_networks`` need not
    be public. ``resolve`` replaces the system's resolver.
    """

    http_hosts: frozenset[str] = frozenset()
    private_hosts: frozenset[str] = frozenset()
    private_networks: tuple[Network, ...] = ()
    resolve: Resolve | None = None

    def read(self, text: str) -> "httpx.URL":
        """Parse a URL. Raises AddressError if it is not allowed, whatever its host resolves to."""
        client = import_module("httpx")  # slow to import, and every command reads settings that contain a guard
        if len(text) > MAX_URL_LENGTH:
            raise AddressError(f"the URL has {len(text):,} characters; the limit is {MAX_URL_LENGTH:,}")
        try:
            url: httpx.URL = client.URL(text)
        except (client.InvalidURL, ValueError, UnicodeError):
            raise AddressError("not a valid URL; use one such as https://example.com/hooks") from None
        host = url.host
        if url.scheme not in _PORTS or not host:
            raise AddressError("the URL must start with https:// and name a host")
        if _literal(host) is None and _NAME.fullmatch(url.raw_host) is None:
            raise AddressError(f"{host[:80]} is not a valid host name")
        if url.port is not None and not 1 <= url.port <= _LAST_PORT:
            raise AddressError(f"the port must be from 1 to {_LAST_PORT}")
        if url.userinfo:
            raise AddressError(
                "the URL must not contain a user or password, because URLs are shown; verify the signature instead"
            )
        if "#" in text:
            raise AddressError("the URL must not contain a fragment (#...), which is never sent")
        if url.scheme == "http" and host not in self.http_hosts:
            raise AddressError(f"{host[:80]} requires https://; METERING_WEBHOOK_HTTP_HOSTS can allow http:// for a host")
        literal = _literal(host)
        if literal is None and _is_number(host):
            raise AddressError(f"{host[:80]} is neither a host name nor an IP address in standard notation")
        if literal is not None:
            self._check(host, literal)
        return url

    def reachable(self, url: "httpx.URL") -> list[str]:
        """Return the IP addresses to connect to, all of them allowed. Waits for the name service.

        Raises AddressError, and OSError if the host does not resolve.
        """
        host = url.host
        if _literal(host) is not None:
            resolved: Sequence[str] = [host]
        else:
            resolved = (self.resolve or resolve)(url.raw_host.decode("ascii"), port_of(url))
        addresses = [ip_address(each) for each in dict.fromkeys(resolved)]
        for address in addresses:
            self._check(host, address)
        return [str(address) for address in addresses]

    def _check(self, host: str, address: Address) -> None:
        if is_public(address) or host in self.private_hosts:
            return
        if any(address in network for network in self.private_networks):
            return
        # The message omits the address: the tenant who entered the name must not learn what it resolves to internally.
        raise AddressError(
            f"{host[:80]} is not on the public internet; METERING_WEBHOOK_PRIVATE_HOSTS can allow a host or a network"
        )


def resolve(host: str, port: int) -> list[str]:
    """Resolve a host with the system's resolver. Raises OSError."""
    entries = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return [str(address[0]) for _, _, _, _, address in entries]


def port_of(url: "httpx.URL") -> int:
    """Return the URL's port, or the default port of its scheme."""
    return url.port or _PORTS[url.scheme]


def network_of(text: str) -> Network | None:
    """Parse a network as settings write it; None if it is not one, such as a host name."""
    try:
        return ip_network(text)
    except ValueError:
        return None


def is_public(address: Address) -> bool:
    """Whether an address is public, including the IPv4 address that it translates to, if any."""
    if isinstance(address, IPv6Address):
        if address in _LOCALLY_TRANSLATED or address.is_site_local:
            return False
        translated = _translated_ipv4(address)
        if translated is not None:
            return is_public(translated)
    return address.is_global and not (address.is_multicast or address.is_reserved or address.is_unspecified)


def _translated_ipv4(address: IPv6Address) -> IPv4Address | None:
    if address in _SIX_TO_FOUR:
        return address.sixtofour
    if any(address in network for network in _IPV4_IN_LAST_BITS):
        return IPv4Address(int(address) & 0xFFFF_FFFF)
    return None


def _literal(host: str) -> Address | None:
    """Return the IP address that a host consists of; None for a name and for an address with a zone."""
    try:
        return None if "%" in host else ip_address(host)
    except ValueError:
        return None


def _is_number(host: str) -> bool:
    """Whether a resolver would read a host as an IP address: its last label is a decimal, octal or hexadecimal number."""
    last = host.rstrip(".").rpartition(".")[2].lower()
    digits = last.removeprefix("0x")
    return last.isdecimal() or (last != digits and all(digit in "0123456789abcdef" for digit in digits))
