"""The planted bugs, read from ``planted.yaml``."""

from typing import NamedTuple

import yaml

from support.places import TESTS


class Mutant(NamedTuple):
    """A bug: in ``file``, ``new`` takes the place of ``old``, which occurs there once; ``tests`` must notice."""

    name: str
    file: str
    old: str
    new: str
    tests: list[str]

    def applied_to(self, text: str) -> str:
        """Return the file's text with the bug."""
        if text.count(self.old) != 1:
            raise ValueError(f"{self.name}: the text to replace occurs {text.count(self.old)} times in {self.file}, not once")
        return text.replace(self.old, self.new)


def planted() -> list[Mutant]:
    """Read the list."""
    return [Mutant(**entry) for entry in yaml.safe_load((TESTS / "mutants" / "planted.yaml").read_text(encoding="utf-8"))]
