"""Content negotiation: which of the possible representations a request accepts (RFC 9110, section 12.5.1)."""

from collections.abc import Sequence
from decimal import Decimal, InvalidOperation

from metering.web.problems import ApiProblem

_Range = tuple[str, str, Decimal]


def negotiate(accept: str | None, offers: Sequence[str]) -> str:
    """Return the offer with the highest quality, the first of several. Raises ApiProblem ``not_acceptable``.

    The most specific range that matches an offer determines its quality; without the header every offer is acceptable.
    """
    if accept is None or not accept.strip():
        return offers[0]
    ranges = [parsed for part in accept.split(",") if (parsed := _range(part)) is not None]
    best, best_quality = "", Decimal(0)
    for offer in offers:
        quality = _quality(offer, ranges)
        if quality > best_quality:
            best, best_quality = offer, quality
    if not best:
        raise ApiProblem("not_acceptable", f"available as {' or '.join(offers)}", headers={"vary": "accept"})
    return best


def _range(text: str) -> _Range | None:
    media, *parameters = (part.strip() for part in text.split(";"))
    kind, slash, subtype = media.lower().partition("/")
    if not (kind and slash and subtype):
        return None
    quality = Decimal(1)
    for parameter in parameters:
        name, _, value = parameter.partition("=")
        if name.strip().lower() == "q":
            try:
                quality = Decimal(value.strip()[:6])
            except InvalidOperation:
                return None
            if not (quality.is_finite() and 0 <= quality <= 1):
                return None
    return kind, subtype, quality


def _quality(offer: str, ranges: Sequence[_Range]) -> Decimal:
    kind, _, subtype = offer.partition("/")
    matching = [
        (subtype == wanted, kind == wanted_kind, quality)
        for wanted_kind, wanted, quality in ranges
        if wanted_kind in (kind, "*") and wanted in (subtype, "*")
    ]
    return max(matching)[2] if matching else Decimal(0)
