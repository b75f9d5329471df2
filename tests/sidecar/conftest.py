"""An upstream and a sidecar per module, and what a test got of both."""

import pytest

from support.canned_answers import canned
from support.upstream_server import UpstreamServer


@pytest.fixture(scope="module")
def module_upstream():
    """The scripted upstream of a module."""
    with UpstreamServer(canned) as server:
        yield server


@pytest.fixture
def upstream(module_upstream):
    """The scripted upstream, with nothing scripted and nothing received."""
    module_upstream.clear()
    module_upstream.respond = canned
    return module_upstream
