"""Validation errors of settings and data rows, as one line a user can act on."""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pydantic import ConfigDict, ValidationError

from clseave.foundation.errors import UserError, did_you_mean, nearest
from clseave.foundation.settings.schema import Section

MOST = 10_000  # values in one file, with aliases expanded
LONGEST = 200  # characters of a value quoted in a message
STRICT = ConfigDict(strict=True, allow_inf_nan=False, extra="forbid")  # for rows: no conversion, finite numbers
# Patterns of values in words; a pattern missing here is shown as it is.
FORMS = {
    r"^[a-z][a-z0-9_]*$": "small letters, digits and _, a letter first",
    r"^[a-z]{2,3}$": "a language code of two or three small letters, such as de",
    r"^(python|torchrun( [\w.:,=/-]+)+)$": "python, or torchrun and its options, such as "
    "torchrun --standalone --nproc-per-node 4",
    r"^[0-9a-f]{64}$": "a SHA-256 of 64 digits 0-9 and a-f",
    r"^[0-9a-f]{40}$": "a commit of 40 digits 0-9 and a-f",
}


def settings_fault(path: Path | str, model: type[Section], error: ValidationError, prefix: tuple[str, ...] = ()) -> str:
    """Return the first error as "file: key: found ..., allowed: ...", and how many more there are.

    Unknown keys come first: a misspelt key gives two errors, an unknown and a missing key, which are reported as one.
    """
    faults = [(fault, *_walk(model, prefix + tuple(fault["loc"]))) for fault in error.errors()]
    unknown = [one for one in faults if one[0]["type"] == "extra_forbidden"]
    explained = {(*keys[:-1], nearest(keys[-1], siblings)) for _, keys, siblings, _ in unknown}
    others = [one for one in faults if one not in unknown]
    others = [one for one in others if one[0]["type"] != "missing" or tuple(one[1]) not in explained]
    first, *more = [*unknown, *others]
    count = f" (and {len(more)} more fault{'s' if len(more) > 1 else ''})" if more else ""
    return f"{path}: {_describe(*first)}{count}"


def _describe(fault: Any, keys: list[str], siblings: list[str], tags: list[str]) -> str:
    """Return key, value found, allowed values, and a suggestion for a misspelt one."""
    key, kind, found = ".".join(keys).replace(".[key]", ""), fault["type"], fault["input"]
    message = fault["msg"][0].lower() + fault["msg"][1:]
    text = f"found {_quoted(found)}, allowed: {message.removeprefix('input should be ')}"
    if kind == "value_error":  # raised by the section's own check
        text = str(fault["ctx"]["error"])
    elif kind == "extra_forbidden":
        text = unknown_key(keys[-1], siblings)
    elif kind == "missing":
        text = f"missing; expected keys: {', '.join(siblings)}"
    elif kind.startswith("union_tag"):
        tag = fault["ctx"]["discriminator"].strip("'")
        misspelt = next((name for name in found if tag not in found and nearest(name, [tag])), None)
        key = f"{key}.{misspelt or tag}"
        text = unknown_key(misspelt, [tag]) if misspelt else not_one_of(found.get(tag), tags)
    elif kind == "literal_error":
        text += did_you_mean(found, re.findall("'([^']*)'", fault["ctx"]["expected"]))
    elif kind == "string_type" and keys[-1] == "[key]":
        text = f'found the key {_quoted(found)}, allowed: text; write it in quotes, "{found}"'
    elif kind == "string_pattern_mismatch" and (form := FORMS.get(fault["ctx"]["pattern"])):
        text = f"found {_quoted(found)}, allowed: {form}"
    return f"{key}: {text}"


def unknown_key(found: Any, allowed: Sequence[str]) -> str:
    """Return the message for a key that does not exist."""
    return f"unknown key{did_you_mean(found, allowed)}; allowed keys: {', '.join(allowed)}"


def not_one_of(found: Any, allowed: Sequence[str]) -> str:
    """Return the message for a value that is not one of those allowed."""
    return f"found {_quoted(found)}, allowed: {', '.join(allowed)}{did_you_mean(found, allowed)}"


def one_fault(error: ValidationError) -> str:
    """Return the first error in a row of data: field, value found, what is expected."""
    first = error.errors()[0]
    if first["type"] == "value_error":  # raised by the row's own check
        return str(first["ctx"]["error"])
    where = ".".join(map(str, first["loc"]))
    if first["type"] in ("missing", "unexpected_keyword_argument"):
        return f"{where}: {'missing' if first['type'] == 'missing' else 'unknown'} field"
    message = first["msg"][0].lower() + first["msg"][1:]
    return f"{where}: found {_quoted(first['input'])}, expected {message.removeprefix('input should be ')}"


def _quoted(value: Any) -> str:
    """Return the `repr` of a value, truncated when it is long."""
    text = repr(value)
    return text if len(text) <= LONGEST else f"{text[:LONGEST]}..."


def require_few(path: Path | str, content: Any) -> None:
    """Raise UserError for too many values: YAML aliases (`&a`, `*a`) can expand a small file to millions of values."""
    pending, count = [content], 0
    while pending:
        value = pending.pop()
        count += 1
        if count > MOST:
            raise UserError(
                f"{path}: more than {MOST:,} values, an alias (*name) counted each time: expected some hundred"
            )
        if isinstance(value, dict):
            pending += [*value, *value.values()]
        elif isinstance(value, list | tuple | set):
            pending += value


def _sections(annotation: Any) -> list[type[Section]]:
    """Return the sections that a type may hold: itself, the members of a union, the entries of a list."""
    if isinstance(annotation, type) and issubclass(annotation, Section):
        return [annotation]
    return [found for inner in getattr(annotation, "__args__", ()) for found in _sections(inner)]


def _walk(model: type[Section], location: tuple[Any, ...]) -> tuple[list[str], list[str], list[str]]:
    """Return the keys of a location without pydantic's union tags, the allowed sibling keys, and the possible tags."""
    keys: list[str] = []
    beside: list[type[Section]] = [model]
    current: list[type[Section]] = [model]
    for part in location:
        tagged = [kind for kind in current if _tag(kind) == part]
        if len(current) > 1 and tagged and keys:
            beside = current = tagged
            continue
        keys.append(str(part))
        beside = current
        current = _kinds_of(current, part)
    siblings = dict.fromkeys(name for kind in beside for name in kind.model_fields)
    return keys, list(siblings), [tag for kind in current if (tag := _tag(kind))]


def _kinds_of(current: list[type[Section]], part: Any) -> list[type[Section]]:
    """Return the sections that a part of a location leads to; an index leads to the type of the list's entries."""
    if isinstance(part, int):
        return current
    fields = [kind.model_fields[part].annotation for kind in current if part in kind.model_fields]
    return [found for annotation in fields for found in _sections(annotation)]


def _tag(kind: type[Section]) -> str | None:
    """Return the value that identifies this member of a tagged union, or None."""
    for name in ("kind", "format", "backend"):
        if name in kind.model_fields:
            return str(kind.model_fields[name].annotation.__args__[0])  # type: ignore[union-attr]
    return None
