"""Documents, help, messages, comments and docstrings are written in plain American English.

The phrases are British or read as if translated. A failure lists file, line and phrase: say what it means in plain words.
"""

import ast
import io
import re
import tokenize
from collections.abc import Iterator
from pathlib import Path

import pytest

from support.places import ROOT

TRANSLATED = (
    "1 requests",
    "all is well",
    "all the same",
    "anew",
    "as it is asked for",
    "at last",
    "beside",
    "by now",
    "can not",
    "for ever",
    "from further off",
    "held? to account",
    "in no amount",
    "is another",
    "meanwhile",
    "nobody",
    "nothing (is|was) said",
    "of (its|their|his) own",
    "somebody",
    "supposed",
    "thousand million",
    "told(?! apart)",
    "turned out",
    "undecided",
    "what (it|they) comes? to",
    "who(se endpoint)? (it is|bills it)",
    "whoever",
)
BRITISH = (
    "artefacts?",
    "behaviour",
    "catalogues?",
    "centre",
    "colours?",
    "favour",
    "fulfil",
    "judgement",
    "labelled",
    "licence",
    "modelled",
    "neighbour",
    "programme",
    "towards",
    "whilst",
    r"(analy|initiali|normali|optimi|organi|recogni|reali|seriali|summari)s(e[ds]?|ing|ation)",
)
# Words are separated by any white space, so that a phrase is found across a line break.
FORBIDDEN = re.compile(r"\b(?<!-)(?:" + "|".join(TRANSLATED + BRITISH).replace(" ", r"\s+") + r")(?![\w-])")

# In a source, line breaks, comment marks and the ends of adjacent strings can separate two words of a phrase.
JOINTS = re.compile(r"""(?:["']\s*f?["']|[\s#])+""")

# Texts that programs read stay as they are.
ALLOWED = {
    ("metering/storage/tables/statements.py", "told"): "the name of a constraint in existing databases",
}

# A single word in a code span is a name, not text.
NAMED = re.compile(r"`\S+`")

READ = {".md", ".yaml", ".html", ".svg"}

PROSE = [
    *(ROOT / name for name in ("README.md", "CONTRIBUTING.md", "CHANGELOG.md", "SECURITY.md", "Makefile")),
    *(path for folder in ("docs", "metering", "pricing") for path in (ROOT / folder).rglob("*") if path.suffix in READ),
]
CODE = [
    path for folder in ("metering", "pricing", "migrations", "benchmarks", "examples") for path in (ROOT / folder).rglob("*.py")
]
# Of tests, only comments and docstrings: other strings are input and expected values.
TESTS = [path for path in (ROOT / "tests").rglob("*.py") if path != Path(__file__)]


def found(text: str, first_line: int = 1) -> Iterator[tuple[int, str]]:
    """Yield the line and the phrase of each forbidden phrase in a text."""
    for match in FORBIDDEN.finditer(text.lower()):
        yield first_line + text.count("\n", 0, match.start()), " ".join(match[0].split())


def strings(source: str) -> Iterator[tuple[int, str]]:
    """Yield every string of a Python file, docstrings included, with its line. Identifiers are not text."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node.lineno, node.value


def docstrings(source: str) -> Iterator[tuple[int, str]]:
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str):
            yield node.lineno, node.value.value


def comments(source: str) -> Iterator[tuple[int, str]]:
    """Yield every comment with its first line; comments on consecutive lines are one."""
    block: list[str] = []
    last = 0
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type != tokenize.COMMENT:
            continue
        if block and token.start[0] != last + 1:
            yield last - len(block) + 1, "\n".join(block)
            block = []
        block.append(token.string.removeprefix("#"))
        last = token.start[0]
    if block:
        yield last - len(block) + 1, "\n".join(block)


def phrases(path: Path) -> list[tuple[int, str]]:
    """Return the lines and phrases of a file, each once."""
    text = path.read_text(encoding="utf-8")
    if path.suffix != ".py":
        return sorted(found(NAMED.sub(lambda name: "`" * len(name[0]), text)))
    if not FORBIDDEN.search(JOINTS.sub(" ", text.lower())):  # most files; parsing takes the time
        return []
    read = docstrings if path in TESTS else strings
    return sorted({each for line, part in (*read(text), *comments(text)) for each in found(part, line)})


def test_no_text_contains_a_phrase_that_reads_as_if_translated() -> None:
    places = [(path.relative_to(ROOT).as_posix(), *each) for path in (*PROSE, *CODE, *TESTS) for each in phrases(path)]
    assert [f"{name}:{line}: {phrase}" for name, line, phrase in sorted(places) if (name, phrase) not in ALLOWED] == []


@pytest.mark.parametrize(("name", "phrase"), ALLOWED)
def test_every_exception_is_still_needed(name: str, phrase: str) -> None:
    assert phrase in [each for _, each in phrases(ROOT / name)]


def test_a_phrase_is_found_across_lines_in_strings_docstrings_and_comments_but_not_in_names() -> None:
    source = '"""It can\nnot."""\ntold = 1\n# Kept for\n# ever.\nx = f"{told} is 1 requests " "by now"\n'
    assert sorted(each for line, text in (*strings(source), *comments(source)) for each in found(text, line)) == [
        (1, "can not"),
        (4, "for ever"),
        (6, "1 requests"),
        (6, "by now"),
    ]
