"""The nearest name: the same but for letter case first, then misspellings; nothing that only shares a few letters."""

import pytest

from metering.domain.nearest_name import did_you_mean, nearest_name


@pytest.mark.parametrize(
    ("name", "known", "nearest"),
    [
        ("acmee", ["acme", "globex"], "acme"),
        ("ACME", ["acme", "acmee"], "acme"),
        ("togther", ["novita", "together"], "together"),
        ("globex", ["acme"], None),
        ("acme", [], None),
        ("", ["acme"], None),
    ],
)
def test_the_most_similar_known_name_is_found(name, known, nearest):
    assert nearest_name(name, known) == nearest


def test_a_suggestion_follows_a_message():
    assert did_you_mean("acmee", ["acme"]) == "; did you mean 'acme'?"
    assert did_you_mean("globex", ["acme"]) == ""
