"""Independent test rows: XVNLI, whose translations were made by people (ar, es, fr, ru; Bugliarello et al. 2022).

A folder with one file per language, English included, whose rows are matched by pair id: LANGUAGE.jsonl, or
LANGUAGE/test.jsonl as published, also .gz. The pairs come from SNLI: of the first 600 rows, 558 are on photos of
SNLI-VE's train and dev splits, and 42 on photos of its test split.
"""

import logging
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from clseave.corpora.snli_ve import Pair, read_pairs
from clseave.foundation.errors import UserError
from clseave.foundation.rows.records import Example, Translation, hypothesis_id

log = logging.getLogger(__name__)

ENGLISH = "en"


class Independent(NamedTuple):
    """Examples with English texts, their texts by language, and the number of rows left out, by reason."""

    examples: list[Example]
    texts: dict[str, list[Translation]]
    left_out: dict[str, int]


def read(folder: Path, known: Mapping[str, str]) -> Independent:
    """Return the examples and their texts in each language that has a file; empty when there is no folder.

    `known` maps each photo of the corpus to its split: rows on photos of train or dev are left out, because the models
    have seen those photos. UserError when the rows of a file differ from the English ones.
    """
    if not folder.is_dir():
        log.info("no %s: no evaluation on translations made by people", folder)
        return Independent([], {}, {})
    files, skipped = find(folder), Counter[str]()
    english = _by_id(files[ENGLISH], skipped)
    unseen = {key: pair for key, pair in english.items() if known.get(pair.image_id, "test") == "test"}
    skipped["photo_of_train_or_dev"] = len(english) - len(unseen)
    level = logging.INFO if unseen else logging.WARNING
    log.log(level, "%s: %d rows in %s; left out: %s", folder, len(unseen), ", ".join(files), dict(skipped))
    examples = [
        Example(key, pair.image_id, _key(pair), pair.hypothesis, pair.label, "test", kind=None, seen=None)
        for key, pair in unseen.items()
    ]
    return Independent(examples, {code: _texts(path, code, examples) for code, path in files.items()}, dict(skipped))


def photos(folder: Path) -> frozenset[str]:
    """Return the ids of all photos of the labelled rows; empty when there is no folder."""
    return (
        frozenset(pair.image_id for pair in read_pairs(find(folder)[ENGLISH], Counter()))
        if folder.is_dir()
        else frozenset()
    )


def find(folder: Path) -> dict[str, Path]:
    """Return the file of each language. UserError when there is none in English, or two for one language."""
    files: dict[str, Path] = {}
    names = ("*.jsonl", "*.jsonl.gz", "*/test.jsonl", "*/test.jsonl.gz")
    for path in sorted(path for name in names for path in folder.glob(name)):
        code = path.name.partition(".")[0] if path.parent == folder else path.parent.name
        if re.fullmatch("[a-z]{2,3}", code) and files.setdefault(code, path) != path:
            raise UserError(
                f"{folder}: {files[code].relative_to(folder)} and {path.relative_to(folder)}: keep one of them"
            )
    if ENGLISH not in files:
        raise UserError(
            f"{folder}: no {ENGLISH}.jsonl and no {ENGLISH}/test.jsonl: expected XVNLI's test rows, a file a language"
        )
    return files


def _by_id(path: Path, skipped: Counter[str]) -> dict[str, Pair]:
    """Return the pairs of a file by their id. UserError for a duplicate; it names both lines."""
    found: dict[str, Pair] = {}
    for pair in read_pairs(path, skipped):
        first = found.setdefault(pair.pair_id, pair)
        if first is not pair:
            raise UserError(f"duplicate pair id {pair.pair_id}: {first.place} and {pair.place}: keep one of them")
    return found


def _key(pair: Pair) -> str:
    """Return a hypothesis id that is unique to the row, because people translate one sentence in several ways."""
    return hypothesis_id(f"{pair.pair_id} {pair.hypothesis}")


def _texts(path: Path, language: str, examples: Sequence[Example]) -> list[Translation]:
    """Return the rows of one language. UserError for the first row that is missing or has another photo or label."""
    pairs = _by_id(path, Counter())
    rows = []
    for row in examples:
        pair = pairs.get(row.pair_id)
        if pair is None or (pair.image_id, pair.label) != (row.image_id, row.label):
            what = "is missing" if pair is None else "has another photo or label than in English"
            raise UserError(f"{path}: pair {row.pair_id} {what}: expected the same rows as in English")
        rows.append(Translation(row.hypothesis_id, row.hypothesis, language, pair.hypothesis, "human", ""))
    return rows
