"""The house keeps its shape: sizes, names, floors, one meaning per class name, and no float near money.

Each rule is one test that lists its offenders.
"""

import ast
import subprocess
import sys
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from support.places import ROOT

VAGUE = {"utils", "util", "helpers", "helper", "common", "misc", "base", "manager", "managers", "core", "stuff"}
UNFINISHED = ("TODO", "FIXME", "XXX", "NotImplementedError")

MAX_FILE_LINES = 400
MAX_FUNCTION_LINES = 60


class Source(NamedTuple):
    """A source file, parsed once for all rules."""

    name: str
    text: str
    tree: ast.Module


def sources(*folders: str) -> list[Source]:
    """Read every Python file of some folders of the checkout."""
    paths = sorted(path for folder in folders for path in (ROOT / folder).rglob("*.py"))
    texts = [(path, path.read_text(encoding="utf-8")) for path in paths]
    return [Source(path.relative_to(ROOT).as_posix(), text, ast.parse(text)) for path, text in texts]


PRODUCT = sources("pricing", "metering")
CODE = [*PRODUCT, *sources("benchmarks", "examples", "tests")]


def functions(tree: ast.AST) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    return (node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef))


def lines_of(node: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    return (node.end_lineno or node.lineno) - node.lineno + 1


def test_no_file_is_too_long() -> None:
    assert [each.name for each in CODE if len(each.text.splitlines()) > MAX_FILE_LINES] == []


def test_no_function_is_too_long() -> None:
    found = [
        (each.name, node.lineno, node.name)
        for each in PRODUCT
        for node in functions(each.tree)
        if lines_of(node) > MAX_FUNCTION_LINES
    ]
    assert found == []


def test_no_file_or_folder_has_a_name_that_says_nothing() -> None:
    parts = {each.name: {part.removesuffix(".py").removeprefix("test_") for part in each.name.split("/")} for each in CODE}
    assert [name for name, named in parts.items() if named & VAGUE] == []


def test_no_class_name_means_two_things() -> None:
    places = defaultdict(list)
    for each in PRODUCT:
        for node in each.tree.body:
            if isinstance(node, ast.ClassDef):
                places[node.name].append(each.name)
    assert {name: where for name, where in places.items() if len(where) > 1} == {}


def test_no_float_touches_a_price() -> None:
    assert [found for each in PRODUCT if each.name.startswith("pricing/") for found in floats(each)] == []


def floats(source: Source) -> Iterator[tuple[str, int]]:
    """Yield where a float is named, written, or made by a division. A slash joins paths where a file uses any."""
    uses_paths = "Path" in source.text or "files(" in source.text
    for node in ast.walk(source.tree):
        named = isinstance(node, ast.Name) and node.id == "float"
        written = isinstance(node, ast.Constant) and isinstance(node.value, float)
        divided = isinstance(node, ast.BinOp) and isinstance(node.op, ast.Div) and not uses_paths
        if named or written or divided:
            yield source.name, node.lineno  # type: ignore[attr-defined]


def test_no_check_relies_on_assert() -> None:
    assert [(each.name, node.lineno) for each in PRODUCT for node in ast.walk(each.tree) if isinstance(node, ast.Assert)] == []


def test_every_package_says_what_it_owns() -> None:
    assert [each.name for each in PRODUCT if each.name.endswith("__init__.py") and not ast.get_docstring(each.tree)] == []


def test_nothing_is_left_for_later() -> None:
    assert [each.name for each in PRODUCT if any(mark in each.text for mark in UNFINISHED)] == []


def test_imports_are_at_the_top_so_that_no_circle_hides() -> None:
    inside = [
        (each.name, node.lineno)
        for each in PRODUCT
        for function in functions(each.tree)
        for node in ast.walk(function)
        if isinstance(node, ast.Import | ast.ImportFrom)
    ]
    assert inside == []


def test_the_floors_point_down_and_nothing_imports_in_a_circle() -> None:
    found = subprocess.run(
        [str(Path(sys.executable).with_name("lint-imports"))], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert found.returncode == 0, found.stdout


def test_the_project_names_no_package_registry() -> None:
    hosts = ("pypi." + "org", "python" + "hosted", "npmjs." + "org", "deb.debian." + "org")
    found = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=False).stdout.split()
    if not found:
        pytest.skip("not a git checkout")
    texts = [path for path in map(ROOT.joinpath, found) if path.is_file() and path.suffix not in (".png", ".gz")]
    assert [str(path) for path in texts if any(host in path.read_text(errors="ignore") for host in hosts)] == []
