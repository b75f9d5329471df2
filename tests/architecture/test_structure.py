"""The house keeps its shape: sizes, names, floors, and no float near money."""

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from support.places import ROOT

CODE = sorted(
    path for folder in ("pricing", "metering", "benchmarks", "examples", "tests") for path in (ROOT / folder).rglob("*.py")
)
PRODUCT = [path for path in CODE if path.relative_to(ROOT).parts[0] in ("pricing", "metering")]
VAGUE = {"utils", "util", "helpers", "helper", "common", "misc", "base", "manager", "managers", "core", "stuff"}


def name(path: Path) -> str:
    return str(path.relative_to(ROOT))


def functions(tree: ast.AST) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    return (node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef))


@pytest.mark.parametrize("path", CODE, ids=name)
def test_no_file_has_more_than_400_lines(path: Path) -> None:
    assert len(path.read_text().splitlines()) <= 400


@pytest.mark.parametrize("path", PRODUCT, ids=name)
def test_no_function_has_more_than_60_lines(path: Path) -> None:
    long = {node.name: node.end_lineno - node.lineno + 1 for node in functions(ast.parse(path.read_text()))}  # type: ignore[operator]
    assert {function: lines for function, lines in long.items() if lines > 60} == {}


@pytest.mark.parametrize("path", CODE, ids=name)
def test_no_file_or_folder_has_a_name_that_says_nothing(path: Path) -> None:
    parts = {part.removesuffix(".py").removeprefix("test_") for part in path.relative_to(ROOT).parts}
    assert not parts & VAGUE


@pytest.mark.parametrize("path", [path for path in PRODUCT if "pricing" in path.parts], ids=name)
def test_no_float_touches_a_price(path: Path) -> None:
    tree = ast.parse(path.read_text())
    names = [node.lineno for node in ast.walk(tree) if isinstance(node, ast.Name) and node.id == "float"]
    literals = [node.lineno for node in ast.walk(tree) if isinstance(node, ast.Constant) and isinstance(node.value, float)]
    divisions = [node.lineno for node in ast.walk(tree) if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Div)]
    paths = "Path" in path.read_text() or "files(" in path.read_text()  # a slash joins paths there
    assert names + literals + ([] if paths else divisions) == []


@pytest.mark.parametrize("path", PRODUCT, ids=name)
def test_no_check_relies_on_assert(path: Path) -> None:
    assert [node.lineno for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Assert)] == []


@pytest.mark.parametrize("path", [path for path in PRODUCT if path.name == "__init__.py"], ids=name)
def test_every_package_says_what_it_owns(path: Path) -> None:
    assert ast.get_docstring(ast.parse(path.read_text()))


@pytest.mark.parametrize("path", PRODUCT, ids=name)
def test_nothing_is_left_for_later(path: Path) -> None:
    text = path.read_text()
    assert not any(mark in text for mark in ("TODO", "FIXME", "XXX", "NotImplementedError"))


@pytest.mark.parametrize("path", PRODUCT, ids=name)
def test_imports_stand_at_the_top_so_that_no_circle_hides(path: Path) -> None:
    inside = [
        node.lineno
        for function in functions(ast.parse(path.read_text()))
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
    hosts = ("pypi." + "org", "python" + "hosted", "npmjs." + "org")
    tracked = subprocess.run(
        ["git", "ls-files"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    ).stdout.split()
    if not tracked:
        pytest.skip("not a git checkout")
    texts = [path for path in map(ROOT.joinpath, tracked) if path.is_file() and path.suffix not in (".png", ".gz")]
    assert [name(path) for path in texts if any(host in path.read_text(errors="ignore") for host in hosts)] == []
