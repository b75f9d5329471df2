"""The list of model aliases in YAML. Each entry has its source."""

from pricing.errors import InvalidAliasError
from pricing.names import Alias, Aliases
from pricing.sources.plain_yaml import PlainYamlError, read_plain_yaml

_FIELDS = ("provider", "native_id", "model", "source")


def parse_aliases(text: str | bytes, *, name: str) -> Aliases:
    """Read the list; ``name`` identifies it in messages. Raises InvalidAliasError with the position of the entry."""
    return Aliases(parse_alias_list(text, name=name))


def parse_alias_list(text: str | bytes, *, name: str) -> list[Alias]:
    """Read the entries of the list, in its order. Raises InvalidAliasError with the position of the entry."""
    try:
        document = read_plain_yaml(text)
    except PlainYamlError as error:
        raise InvalidAliasError(f"{name}: {error}") from None
    listed = document.get("aliases") if isinstance(document, dict) and document.keys() == {"aliases"} else None
    if not isinstance(listed, list):
        raise InvalidAliasError(f"{name}: the file must have the key aliases with a list, and no other key")
    aliases = []
    for position, entry in enumerate(listed, start=1):
        where = f"{name}: alias {position}"
        if not isinstance(entry, dict) or entry.keys() != set(_FIELDS):
            raise InvalidAliasError(f"{where}: an alias must have exactly the fields {', '.join(_FIELDS)}")
        values = [value for value in entry.values() if isinstance(value, str) and value]
        if len(values) != len(_FIELDS):
            raise InvalidAliasError(f"{where}: every field must be non-empty text")
        aliases.append(Alias(*(str(entry[field]) for field in _FIELDS)))
    return aliases
