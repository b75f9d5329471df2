"""A list's name for a model: as stated, by a recorded alias, or in other letter case; never by a guess."""

import pytest

from pricing.bundled import bundled_aliases, bundled_tables
from pricing.errors import InvalidAliasError
from pricing.names import Alias, Aliases, ListedNames, NameMatch
from pricing.sources.alias_sheet import parse_aliases

TURBO = Alias("together", "llama-turbo", "Llama", "a page")
ALIASES = Aliases([TURBO])


def listed(*models, provider="together"):
    names = ListedNames()
    for model in models:
        names.add(provider, model)
    return names


def resolved(names, stated, provider="together", aliases=ALIASES):
    found = names.resolve(provider, stated, aliases)
    return found.match.value, found.model


def test_the_stated_name_is_tried_first():
    assert resolved(listed("llama-turbo", "Llama"), "llama-turbo") == ("exact", "llama-turbo")


def test_a_native_id_resolves_to_the_lists_own_name():
    found = listed("Llama").resolve("together", "llama-turbo", ALIASES)
    assert (found.match, found.model, found.alias) == (NameMatch.ALIAS, "Llama", TURBO)


def test_an_alias_works_in_both_directions():
    assert resolved(listed("llama-turbo"), "Llama") == ("alias", "llama-turbo")


def test_an_alias_belongs_to_one_provider():
    assert resolved(listed("Llama", provider="novita"), "llama-turbo", "novita") == ("none", None)


def test_an_alias_of_an_unlisted_model_resolves_to_nothing():
    assert resolved(listed("qwen"), "llama-turbo") == ("none", None)


def test_letter_case_does_not_matter_if_one_name_matches():
    assert resolved(listed("meta-llama/Llama-3.1-8B"), "META-llama/llama-3.1-8b") == ("case", "meta-llama/Llama-3.1-8B")


def test_a_name_that_matches_two_in_other_letter_case_is_ambiguous():
    found = listed("Llama", "LLAMA").resolve("together", "llama", Aliases())
    assert (found.match, found.model, found.candidates) == (NameMatch.AMBIGUOUS, None, ("LLAMA", "Llama"))


def test_a_model_with_two_native_ids_in_one_list_is_ambiguous():
    aliases = Aliases([TURBO, Alias("together", "llama-lite", "Llama", "a page")])
    found = listed("llama-turbo", "llama-lite").resolve("together", "Llama", aliases)
    assert (found.match, found.candidates) == (NameMatch.AMBIGUOUS, ("llama-lite", "llama-turbo"))


def test_an_alias_is_tried_before_other_letter_case():
    assert resolved(listed("Llama", "LLAMA-TURBO"), "llama-turbo") == ("alias", "Llama")


def test_no_part_of_a_name_is_ignored():
    assert resolved(listed("Llama"), "Llama-Instruct") == ("none", None)
    assert resolved(listed("org/Llama"), "Llama") == ("none", None)


@pytest.mark.parametrize(
    "aliases",
    [
        [Alias("together", "same", "same", "a page")],
        [Alias("together", "x", "Llama", "a page"), Alias("together", "x", "Qwen", "another page")],
    ],
    ids=["of itself", "of two models"],
)
def test_a_conflicting_alias_is_refused(aliases):
    with pytest.raises(InvalidAliasError, match=r"together (same|x)"):
        Aliases(aliases)


ENTRY = "{provider: together, native_id: a, model: b, source: s}"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[]", "the key aliases with a list"),
        ("models: []", "the key aliases with a list"),
        (
            f"aliases: [{ENTRY}, {{provider: together}}]",
            "alias 2: an alias must have exactly the fields provider, native_id, model, source",
        ),
        ("aliases: [{provider: together, native_id: a, model: b, source: ''}]", "alias 1: every field"),
        ("aliases: [{provider: together, native_id: a, model: [b], source: s}]", "alias 1: every field"),
        ("<html>", "HTML"),
    ],
)
def test_a_malformed_list_of_aliases_is_refused_with_the_position(text, message):
    with pytest.raises(InvalidAliasError, match=message) as refused:
        parse_aliases(text, name="own.yaml")
    assert str(refused.value).startswith("own.yaml: ")


def test_a_list_of_aliases_is_read_with_its_sources():
    known = parse_aliases(f"aliases: [{ENTRY}]", name="own.yaml").of("together", "a")
    assert known == {"b": Alias("together", "a", "b", "s")}


def names_of(source):
    names = ListedNames()
    for table in bundled_tables():
        for rate in table.rates if table.source == source else ():
            names.add(rate.provider, rate.model)
    return names


@pytest.mark.parametrize(
    ("provider", "stated", "model"),
    [
        ("novita", "meta-llama/llama-3.1-8b-instruct", "meta-llama/Llama-3.1-8B-Instruct"),
        ("fireworks-ai", "accounts/fireworks/models/llama-v3p3-70b-instruct", "meta-llama/Llama-3.3-70B-Instruct"),
        ("together", "meta-llama/Llama-3.3-70B-Instruct-Turbo", "meta-llama/Llama-3.3-70B-Instruct"),
        ("sambanova", "Meta-Llama-3.3-70B-Instruct", "meta-llama/Llama-3.3-70B-Instruct"),
    ],
)
def test_native_ids_of_partners_resolve_in_the_routers_list(provider, stated, model):
    assert resolved(names_of("hf_router"), stated, provider, bundled_aliases()) == ("alias", model)
