"""The partners of Hugging Face's router, by date: who can have served a routed request at an instant.

A partner that left keeps its name, because old records have it, and its bundled prices, because its old requests have them. It
just cannot have served a request after it left. Where the day a partner joined is not known, it is None: always.
"""

from datetime import date

from msgspec import Struct


class Partner(Struct, frozen=True):
    """A partner in Hugging Face's spelling, from its first day (UTC) until, and without, the day it left."""

    name: str
    joined: date | None = None
    left: date | None = None

    def serves(self, on: date) -> bool:
        """Whether the router had this partner on a day."""
        return (self.joined is None or self.joined <= on) and (self.left is None or on < self.left)


# The list of Hugging Face's client and of hub-docs, Inference Providers, read in November 2026, with the dates of the commits
# that added or removed a partner.
PARTNERS = (
    Partner("baseten", joined=date(2026, 8, 6)),
    Partner("cerebras"),
    Partner("cohere"),
    Partner("deepinfra", joined=date(2026, 4, 29)),
    Partner("fal-ai"),
    Partner("featherless-ai"),
    Partner("fireworks-ai"),
    Partner("groq"),
    Partner("hf-inference"),
    Partner("hyperbolic", left=date(2026, 6, 29)),
    Partner("nebius", left=date(2026, 1, 22)),
    Partner("novita"),
    Partner("nscale"),
    Partner("openai"),
    Partner("ovhcloud"),
    Partner("publicai"),
    Partner("replicate"),
    Partner("sambanova", left=date(2026, 6, 29)),
    Partner("scaleway"),
    Partner("together"),
    Partner("wavespeed"),
    Partner("zai-org"),
)

_BY_NAME = {partner.name: partner for partner in PARTNERS}


def is_partner(name: str, on: date) -> bool:
    """Whether the router had a partner of this name on a day; an unknown name may be a new one."""
    known = _BY_NAME.get(name)
    return known is None or known.serves(on)
