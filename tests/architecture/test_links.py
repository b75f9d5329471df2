"""Every file, folder, module and heading that a document refers to exists."""

import re
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

from support.places import ROOT

DOCUMENTS = [
    *(ROOT / name for name in ("README.md", "CONTRIBUTING.md", "CHANGELOG.md", "SECURITY.md")),
    *sorted((ROOT / "docs").rglob("*.md")),
]
LINK = re.compile(r"\]\(([^)\s]+)\)")
CODE = re.compile(r"`([^`\n]+)`")
FENCED = re.compile(r"^```.*?^```", re.MULTILINE | re.DOTALL)
MODULE = re.compile(r"python -m ((?:metering|pricing)[\w.]*)")
# Documents name files from the root, or from ``metering/``, whose rooms most of them are about.
FOLDERS = {path.name for parent in (ROOT, ROOT / "metering") for path in parent.iterdir() if path.is_dir()}
PATH = re.compile(rf"(?:{'|'.join(sorted(FOLDERS))})/[\w./-]*")
FILE = re.compile(r"\w+\.(?:py|yaml|toml|css|html|svg)")
FILES = {
    path.name
    for folder in ("metering", "pricing", "migrations", "tests", "examples", "benchmarks")
    for path in (ROOT / folder).rglob("*.*")
}


def broken_links(document: Path) -> Iterator[str]:
    """Yield the relative links of a document to a file or heading that does not exist."""
    for target in LINK.findall(document.read_text(encoding="utf-8")):
        if re.match(r"[a-z]+:", target):
            continue
        name, _, heading = target.partition("#")
        linked = document.parent / name if name else document
        if not linked.exists() or (heading and heading not in headings(linked)):
            yield target


def headings(document: Path) -> set[str]:
    """Return the anchors of a document's headings, as GitHub derives them."""
    titles = re.findall(r"^#+ (.+)$", document.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", title.lower()).replace(" ", "-") for title in titles}


def missing_paths(document: Path) -> Iterator[str]:
    """Yield the paths, file names and modules in a document's code spans and blocks that do not exist."""
    text = document.read_text(encoding="utf-8")
    blocks, spans = " ".join(FENCED.findall(text)), CODE.findall(FENCED.sub("", text))
    words = (word.strip("(),") for word in blocks.split())
    yield from (each for each in (*spans, *words) if PATH.fullmatch(each) and not exists(each))
    yield from (each for each in spans if FILE.fullmatch(each) and each not in FILES and not (ROOT / each).exists())
    yield from (module for module in MODULE.findall(text) if find_spec(module) is None)


def exists(path: str) -> bool:
    """Whether a path exists from the root or from ``metering/``; a module can be named without its ending."""
    return any((parent / name).exists() for parent in (ROOT, ROOT / "metering") for name in (path, f"{path}.py"))


def test_every_link_of_a_document_leads_somewhere() -> None:
    assert [f"{path.relative_to(ROOT)}: {target}" for path in DOCUMENTS for target in broken_links(path)] == []


def test_every_file_that_a_document_names_exists() -> None:
    assert [f"{path.relative_to(ROOT)}: {name}" for path in DOCUMENTS for name in missing_paths(path)] == []


def test_what_does_not_exist_is_found(tmp_path: Path) -> None:
    document = tmp_path / "page.md"
    document.write_text(
        "# A page, really\n[1](#a-page-really) [2](#other) [3](gone.md) `pricing/gone.py` `rating.py` `gone.py`\n"
        "```\nruntime/gone\n```\n"
    )
    assert list(broken_links(document)) == ["#other", "gone.md"]
    assert set(missing_paths(document)) == {"pricing/gone.py", "gone.py", "runtime/gone"}
