"""Values that a command line changes: `--set clteave.relu=false`, as a study's variants do."""

from collections.abc import Sequence
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from clseave.foundation.errors import UserError


def parse(text: str) -> tuple[list[str], Any]:
    """Return keys and value of `key.key=value`; the value is YAML. UserError for another form."""
    name, equals, value = text.partition("=")
    if not equals or not all(keys := name.split(".")):
        raise UserError(f"--set {text}: expected key=value or key.key=value, such as clteave.relu=false")
    try:
        return keys, YAML(typ="safe", pure=True).load(value)
    except YAMLError as error:
        raise UserError(f"--set {text}: the value is not YAML: {' '.join(str(error).split())}") from error


def apply(content: dict[str, Any], changes: Sequence[str]) -> dict[str, Any]:
    """Return a copy of a file's content with the changes of its own keys.

    Changes of keys that it lacks are left to the file that has them. UserError for a key inside a plain value.
    """
    for text in changes:
        (first, *inner), value = parse(text)
        if first in content:
            content = content | {first: _changed(content[first], inner, value, text)}
    return content


def _changed(old: Any, keys: Sequence[str], value: Any, text: str) -> Any:
    """Return `old` with one value changed at `keys`; `value` itself where no key is left."""
    if not keys:
        return value
    if not isinstance(old, dict):
        raise UserError(f"--set {text}: {keys[0]} cannot be set inside {old!r}")
    return old | {keys[0]: _changed(old.get(keys[0]), keys[1:], value, text)}


def require_known(changes: Sequence[str], allowed: Sequence[str]) -> None:
    """Raise UserError for a change of a key that nothing of what runs reads."""
    for text in changes:
        if (first := parse(text)[0][0]) not in allowed:
            raise UserError(f"--set {text}: {first} is not read here; allowed: {', '.join(allowed)}")
