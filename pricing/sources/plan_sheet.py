"""The plan sheet: dated terms of subscriptions in YAML.

A figure that the source does not state is written ``unknown`` and read as None. An entry with an unknown date is checked like
the others, and not applied.
"""

from collections.abc import Iterator
from datetime import date

from pricing.errors import InvalidAmountError, InvalidPlanError
from pricing.excerpt import excerpt
from pricing.money import NANO_PER_USD, parse_usd
from pricing.plans import PlanTerms
from pricing.sources.plain_yaml import Plain, PlainYamlError, read_plain_yaml

UNKNOWN = "unknown"

# Whether usage beyond all credits is billed, by the value in the sheet.
_PAY_AS_YOU_GO = {"invoiced": True, "purchased_credits": False, "none": False}
_BOOLEANS = {"true": True, "false": False}

_FIELDS = ("from", "fee_usd", "included_credit_usd", "pay_as_you_go", "credits_pay_elsewhere", "source")
_OPTIONAL = ("included_credit_per",)
# Whether the included credit is given every day, by the value in the sheet.
_CREDIT_PER = {"month": False, "day": True}


def parse_plans(text: str | bytes, *, name: str) -> tuple[PlanTerms, ...]:
    """Return the dated terms in a plan sheet, in its order. Raises InvalidPlanError with the entry."""
    try:
        document = read_plain_yaml(text)
    except PlainYamlError as error:
        raise InvalidPlanError(f"{name}: {error}") from None
    terms: list[PlanTerms] = []
    for entry in _items(_mapping(document, name, ("plans",))["plans"], f"{name}: plans"):
        plan = _mapping(entry, f"{name}: plans", ("plan", "rank", "per_seat", "versions"))
        label = plan["plan"]
        if not isinstance(label, str) or not label or any(label == known.plan for known in terms):
            raise InvalidPlanError(f"{name}: plan must be a name that is listed once, got {excerpt(label)}")
        terms.extend(_versions(plan, label, f"{name}: {label}"))
    return tuple(terms)


def _versions(plan: dict[str, Plain], label: str, where: str) -> Iterator[PlanTerms]:
    rank = plan["rank"]
    if not (isinstance(rank, str) and rank.isascii() and rank.isdecimal() and len(rank) <= 3):
        raise InvalidPlanError(f"{where}: rank must be a small whole number, got {excerpt(rank)}")
    per_seat = _choice(plan, "per_seat", _BOOLEANS, where)
    previous = date.min
    for version in _items(plan["versions"], f"{where}: versions"):
        entry = _mapping(version, where, _FIELDS, _OPTIONAL)
        terms, dated = _version(entry, label, where, rank=int(rank), per_seat=per_seat)
        if not dated:
            continue
        if terms.effective_from <= previous:
            raise InvalidPlanError(f"{where} from {terms.effective_from}: versions must be ordered by date, each date once")
        previous = terms.effective_from
        yield terms


def _version(entry: dict[str, Plain], label: str, where: str, *, rank: int, per_seat: bool) -> tuple[PlanTerms, bool]:
    """Return an entry's terms, and whether their date is known."""
    start = _text(entry, "from", where)
    here = f"{where} from {start}"
    is_daily = "included_credit_per" in entry and _choice(entry, "included_credit_per", _CREDIT_PER, here)
    credit_nano = _amount(entry, "included_credit_usd", NANO_PER_USD, here)
    terms = PlanTerms(
        plan=label,
        effective_from=date.min if start == UNKNOWN else _date(start, where),
        rank=rank,
        per_seat=per_seat,
        fee_cents=_amount(entry, "fee_usd", 100, here),
        included_credit_nano=0 if is_daily and credit_nano is not None else credit_nano,
        pay_as_you_go=_choice(entry, "pay_as_you_go", _PAY_AS_YOU_GO, here),
        credits_pay_elsewhere=_choice(entry, "credits_pay_elsewhere", _BOOLEANS, here),
        source=_text(entry, "source", here),
        daily_credit_nano=(credit_nano or 0) if is_daily else 0,
    )
    return terms, start != UNKNOWN


def _date(text: str, where: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise InvalidPlanError(f"{where}: from {text[:40]!r} is not a date such as 2026-08-21") from None


def _amount(entry: dict[str, Plain], field: str, unit_per_usd: int, where: str) -> int | None:
    text = _text(entry, field, where)
    if text == UNKNOWN:
        return None
    try:
        return parse_usd(text, unit_per_usd=unit_per_usd)
    except InvalidAmountError as error:
        raise InvalidPlanError(f"{where}: {field}: {error}") from None


def _choice(entry: dict[str, Plain], field: str, choices: dict[str, bool], where: str) -> bool:
    text = _text(entry, field, where)
    if text not in choices:
        raise InvalidPlanError(f"{where}: {field} must be {' or '.join(choices)}, got {text[:40]!r}")
    return choices[text]


def _text(entry: dict[str, Plain], field: str, where: str) -> str:
    value = entry[field]
    if not isinstance(value, str) or not value:
        raise InvalidPlanError(f"{where}: {field} must be text, got {excerpt(value)}")
    return value


def _mapping(value: Plain, where: str, fields: tuple[str, ...], optional: tuple[str, ...] = ()) -> dict[str, Plain]:
    """Return a mapping with exactly these fields, and perhaps the optional ones."""
    if not isinstance(value, dict):
        raise InvalidPlanError(f"{where} must be a mapping with {', '.join(fields)}")
    if missing := [field for field in fields if field not in value]:
        raise InvalidPlanError(f"{where}: missing {', '.join(missing)}")
    if unknown := [field for field in value if field not in (*fields, *optional)]:
        raise InvalidPlanError(f"{where}: unknown key {', '.join(unknown)}; the keys are {', '.join((*fields, *optional))}")
    return value


def _items(value: Plain, where: str) -> list[Plain]:
    if not isinstance(value, list) or not value:
        raise InvalidPlanError(f"{where} must be a non-empty list")
    return value
