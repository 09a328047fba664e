"""What pydantic found wrong in a file of values, as one line a user can act on."""

from pathlib import Path
from typing import Any

from pydantic import ValidationError

from clseave.schema import Section


def one_line(path: Path | str, model: type[Section], error: ValidationError, prefix: tuple[str, ...] = ()) -> str:
    """The first fault as "file: key: found ..., allowed: ...", and how many more there are."""
    first = error.errors()[0]
    keys, siblings, tags = _walk(model, prefix + tuple(first["loc"]))
    key = ".".join(keys).replace(".[key]", "")
    if first["type"] == "extra_forbidden":
        fault = f"unknown key; allowed keys: {', '.join(siblings)}"
    elif first["type"] == "missing":
        fault = f"missing; expected keys: {', '.join(siblings)}"
    elif first["type"].startswith("union_tag"):
        tag = first["ctx"]["discriminator"].strip("'")
        key, found = f"{key}.{tag}", first["input"].get(tag)
        fault = f"found {found!r}, allowed: {', '.join(tags)}"
    else:
        message = first["msg"][0].lower() + first["msg"][1:]
        fault = f"found {first['input']!r}, allowed: {message.removeprefix('input should be ')}"
    more = error.error_count() - 1
    return f"{path}: {key}: {fault}" + (f" (and {more} more)" if more else "")


def _sections(annotation: Any) -> list[type[Section]]:
    """The groups of values that a type may hold: itself, the members of a union, the entries of a list."""
    if isinstance(annotation, type) and issubclass(annotation, Section):
        return [annotation]
    return [found for inner in getattr(annotation, "__args__", ()) for found in _sections(inner)]


def _walk(model: type[Section], location: tuple[Any, ...]) -> tuple[list[str], list[str], list[str]]:
    """The keys of a location without pydantic's tags, the keys allowed beside the last, and the tags it may have."""
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
    """What a part of a location leads to: an entry of a list leads to the list's own kind."""
    if isinstance(part, int):
        return current
    fields = [kind.model_fields[part].annotation for kind in current if part in kind.model_fields]
    return [found for annotation in fields for found in _sections(annotation)]


def _tag(kind: type[Section]) -> str | None:
    """The value by which a union knows this member."""
    for name in ("kind", "format", "backend"):
        if name in kind.model_fields:
            return str(kind.model_fields[name].annotation.__args__[0])  # type: ignore[union-attr]
    return None
