"""Whether an address can be listened on, checked before a server starts."""

import errno
import socket

import click

from metering.cli.root import stop

CANNOT_LISTEN = 1


def try_address(host: str, port: int, option: str = "--port") -> None:
    """End the command with one line if the address cannot be used: the server would report it in many, after it has started."""
    shown = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
    try:
        for family, kind, protocol, _, address in socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        ):
            with socket.socket(family, kind, protocol) as probe:
                # As the server does: connections of a previous one that are still closing do not count.
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                if family == socket.AF_INET6:
                    probe.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
                probe.bind(address)
    except OSError as error:
        message = f"error[address_unusable]: cannot listen on {shown} ({error.strerror}); choose another --host or {option}"
        if error.errno == errno.EADDRINUSE:
            message = f"error[address_in_use]: {shown} is used by another process; stop it, or choose another {option}"
        click.echo(message, err=True)
        stop(CANNOT_LISTEN)
