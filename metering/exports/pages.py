"""HTML pages from Jinja2 templates. Every value is escaped, and a name a template misspells is an error, not an empty text."""

from collections.abc import Iterator
from functools import cache
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined


def render_page(template: str, **values: Any) -> Iterator[bytes]:
    """Yield a page in UTF-8, piece by piece; ``template`` is a file of ``templates/``."""
    for piece in _environment().get_template(template).generate(**values):
        yield piece.encode()


@cache
def _environment() -> Environment:
    return Environment(
        loader=PackageLoader("metering.exports"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
