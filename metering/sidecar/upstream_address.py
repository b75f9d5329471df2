"""The address that requests are passed on to: scheme, host and port, nothing else."""

from urllib.parse import urlsplit

from msgspec import Struct

from metering.domain.errors import DomainError
from metering.domain.texts import control_character


class InvalidUpstreamError(DomainError):
    """An upstream that is not the plain address of an HTTP server."""

    code = "invalid_upstream"


class UpstreamAddress(Struct, frozen=True):
    """Where requests go. ``authority`` is the value of their ``Host`` header."""

    host: str
    port: int
    is_tls: bool
    authority: bytes


def upstream_address(url: str) -> UpstreamAddress:
    """Read ``https://host[:port]``. Raises InvalidUpstreamError for anything else, such as a path or credentials."""
    if control_character(url) or " " in url:
        raise _invalid(url, "contains a space or a control character")
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        raise _invalid(url, "is not a URL") from None
    if parts.scheme not in ("http", "https"):
        raise _invalid(url, "must start with https:// or http://")
    if parts.username is not None or parts.password is not None:
        raise _invalid(_without_credentials(url), "contains credentials; the application's token is passed on, remove them")
    if not parts.hostname:
        raise _invalid(url, "has no host")
    if parts.path.rstrip("/") or parts.query or parts.fragment:
        raise _invalid(url, f"must end after the host; paths such as {parts.path[:40]!r} come from the application")
    try:
        host = parts.hostname.encode("idna").decode() if ":" not in parts.hostname else parts.hostname
    except UnicodeError:
        raise _invalid(url, "has a host that is not valid") from None
    is_tls = parts.scheme == "https"
    usual = 443 if is_tls else 80
    shown = f"[{host}]" if ":" in host else host
    authority = shown if port in (None, usual) else f"{shown}:{port}"
    return UpstreamAddress(host, usual if port is None else port, is_tls, authority.encode())


def _without_credentials(url: str) -> str:
    scheme, _, rest = url.partition("://")
    return f"{scheme}://…@{rest.rpartition('@')[2]}"


def _invalid(url: str, reason: str) -> InvalidUpstreamError:
    return InvalidUpstreamError(f"the upstream {url[:120]!r} {reason}; use an address such as https://router.huggingface.co")
