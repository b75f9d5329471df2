"""Nothing that a test does resolves a name."""

import socket

import pytest


@pytest.mark.parametrize("name", ["huggingface.co", "router.huggingface.co", b"example.org"])
def test_a_name_is_not_resolved(name):
    with pytest.raises(socket.gaierror, match="Name or service not known"):
        socket.getaddrinfo(name, 443)


@pytest.mark.parametrize("name", ["localhost", "127.0.0.1", "::1", None])
def test_this_machine_is_found(name):
    assert socket.getaddrinfo(name, 80)
