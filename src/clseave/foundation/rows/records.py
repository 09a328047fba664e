"""The row types that stages exchange, and vectors by id. Rows are joined by id, never by line number."""

import logging
import unicodedata
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import MISSING, fields
from pathlib import Path
from typing import TypeVar

import numpy as np
from pydantic import ValidationError
from pydantic.dataclasses import dataclass
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save_file

from clseave.foundation.errors import UserError
from clseave.foundation.files import hashing
from clseave.foundation.files.atomic import whole_folder
from clseave.foundation.files.formats import (
    RERUN,
    cannot_read,
    iter_jsonl,
    read_json,
    require_no_pointer,
    write_json,
    write_jsonl,
)
from clseave.foundation.rows.labels import LABELS
from clseave.foundation.settings.messages import STRICT, one_fault
from clseave.foundation.settings.schema import SPLITS

SKIPPED = "skipped.json"  # beside the vectors of images

log = logging.getLogger(__name__)


def hypothesis_id(english: str) -> str:
    """First 16 hex digits of the SHA-256 of the NFC-normalised, stripped English text."""
    return hashing.of_text(unicodedata.normalize("NFC", english).strip())[:16]


@dataclass(frozen=True, slots=True, config=STRICT)
class Example:
    """One premise (image), one English hypothesis, one label name. What comes after `split` may be unknown (None).

    `statement` is what the hypothesis says: the phrasings of one statement share it. `pair` is shared by the two rows
    of a minimal pair: same image, same words in another order, another label.
    """

    pair_id: str
    image_id: str
    hypothesis_id: str
    hypothesis: str
    label: str
    split: str
    kind: str | None
    seen: bool | None
    statement: str | None = None
    pair: str | None = None

    def __post_init__(self) -> None:
        if self.label not in LABELS:
            raise ValueError(f"label {self.label!r} is not one of {', '.join(LABELS)}")
        if self.split not in SPLITS:
            raise ValueError(f"split {self.split!r} is not one of {', '.join(SPLITS)}")


@dataclass(frozen=True, slots=True, config=STRICT)
class Translation:
    """One distinct hypothesis (`source` is its English text) in one target language, with what made it."""

    hypothesis_id: str
    source: str
    target: str
    text: str
    backend: str
    version: str


@dataclass(frozen=True, config=STRICT)
class Alignment:
    """Word pairs (0-based, sorted) between a hypothesis and its translation."""

    hypothesis_id: str
    source_words: list[str]
    target_words: list[str]
    pairs: list[list[int]]

    def __post_init__(self) -> None:
        sizes = (len(self.source_words), len(self.target_words))
        for pair in self.pairs:
            if len(pair) != 2 or not (0 <= pair[0] < sizes[0] and 0 <= pair[1] < sizes[1]):
                raise ValueError(f"pair {pair} of sentences of {sizes[0]} and {sizes[1]} words")


@dataclass(frozen=True, config=STRICT)
class Prediction:
    """One evaluated example, whose gold label stands with it: three logits in the order of `labels.LABELS`."""

    pair_id: str
    logits: list[float]


Row = TypeVar("Row", Example, Translation, Alignment, Prediction)


def write_rows(path: Path | str, rows: Iterable[Example | Translation | Alignment | Prediction]) -> None:
    """Write rows as JSON Lines, fields in the order of their class."""
    # Not `asdict`, which copies every list and takes as long as writing.
    write_jsonl(path, ({name: getattr(row, name) for name in row.__dataclass_fields__} for row in rows))


def iter_rows(path: Path | str, kind: type[Row]) -> Iterator[Row]:
    """Yield rows of one type. UserError names file, line and field of a row that does not fit, or of a duplicate id."""
    names = [field.name for field in fields(kind)]
    required = {field.name for field in fields(kind) if field.default is MISSING}
    known: dict[str, int] = {}  # line of each id
    for number, raw in enumerate(iter_jsonl(path), start=1):
        if odd := sorted((required - raw.keys()) | (raw.keys() - set(names))):
            raise UserError(f"{path}:{number}: missing or unknown field of {kind.__name__}: {', '.join(odd)}")
        try:
            row = kind(**raw)
        except ValidationError as error:
            raise UserError(f"{path}:{number}: {one_fault(error)}") from error
        if (first := known.setdefault(raw[names[0]], number)) != number:
            raise UserError(f"duplicate {names[0]} {raw[names[0]]}: {path}:{first} and {path}:{number}: keep one")
        yield row


def read_rows(path: Path | str, kind: type[Row]) -> list[Row]:
    """All rows of `iter_rows`."""
    return list(iter_rows(path, kind))


def distinct_hypotheses(examples: Iterable[Example]) -> dict[str, str]:
    """English text by hypothesis id, in order of first appearance."""
    return {example.hypothesis_id: example.hypothesis for example in examples}


def read_splits(folder: Path | str, splits: Iterable[str] = SPLITS) -> list[Example]:
    """Examples of several splits, in their order. UserError: an empty split, a row of another, a duplicate pair id."""
    rows: list[Example] = []
    known: dict[str, int] = {}  # number of the row in its split
    for split in splits:
        path = Path(folder) / f"{split}.jsonl"
        for number, row in enumerate(iter_rows(path, Example), start=1):
            if row.split != split:
                raise UserError(f"{path}: pair_id {row.pair_id} is of the {row.split} split: {RERUN}")
            if first := known.get(row.pair_id):
                other = next(one.split for one in rows if one.pair_id == row.pair_id)
                where = f"{path.with_name(f'{other}.jsonl')}:{first} and {path}:{number}"
                raise UserError(f"duplicate pair_id {row.pair_id}: {where}: keep one")
            known[row.pair_id] = number
            rows.append(row)
        if not rows or rows[-1].split != split:
            raise UserError(f"{path}: no row in it: {RERUN}")
    return rows


def write_skipped(folder: Path | str, reasons: Mapping[str, str]) -> None:
    """Write which ids have no vector in this folder, and why; no file when there is none."""
    if reasons:
        write_json(Path(folder) / SKIPPED, reasons)


def examples_with_images(examples: list[Example], folder: Path | str) -> list[Example]:
    """The examples but those whose image was skipped for want of a readable file; it says how many those are.

    UserError when none is left.
    """
    path = Path(folder) / SKIPPED
    skipped = read_json(path) if path.exists() else {}
    if not isinstance(skipped, dict):
        raise UserError(f"{path}: found {type(skipped).__name__}, expected a reason for each id: {RERUN}")
    kept = [row for row in examples if row.image_id not in skipped]
    if examples and not kept:
        raise UserError(
            f"{path}: none of {len(examples)} examples of {examples[0].split} is left, all images were skipped: "
            "fix the photos that it lists, then run `dvc repro -f -s prepare` and `dvc repro`"
        )
    if len(kept) < len(examples):
        log.warning("%d of %d examples left out: %s lists their images", len(examples) - len(kept), len(examples), path)
    return kept


def write_vectors(folder: Path | str, ids: list[str], vectors: np.ndarray) -> None:
    """Write `vectors.safetensors` (N, D) float32 and `ids.json`: row i belongs to ids[i]. Both, or neither."""
    if len(ids) != len(vectors) or len(set(ids)) != len(ids):
        raise ValueError(f"{len(vectors)} vectors need as many distinct ids, got {len(ids)} ({len(set(ids))} distinct)")
    with whole_folder(folder) as temporary:
        temporary.mkdir()
        save_file({"vectors": np.ascontiguousarray(vectors, dtype=np.float32)}, temporary / "vectors.safetensors")
        write_json(temporary / "ids.json", ids)


def read_vectors(folder: Path | str, resident_gb: float = float("inf")) -> tuple[dict[str, int], np.ndarray]:
    """Row number by id, and the vectors (N, D): in memory, or mapped from the file when they exceed `resident_gb`.

    UserError when the two files disagree, or one is no such file.
    """
    folder = Path(folder)
    ids = read_json(folder / "ids.json")
    if not isinstance(ids, list) or not all(isinstance(key, str) for key in ids) or len(set(ids)) < len(ids):
        raise UserError(
            f"{folder / 'ids.json'}: expected a list of distinct ids: delete the folder and run its stage again"
        )
    vectors = _map_vectors(folder / "vectors.safetensors")
    if vectors.nbytes <= resident_gb * 1e9:
        vectors = np.array(vectors)
    if len(ids) != len(vectors):
        raise UserError(
            f"{folder}: {len(ids)} ids for {len(vectors)} vectors: delete the folder and run its stage again"
        )
    return {key: row for row, key in enumerate(ids)}, vectors


def _map_vectors(path: Path) -> np.ndarray:
    """The one tensor of a safetensors file, mapped. UserError when the file is damaged or holds something else.

    The library checks the file; numpy maps it, because the library either copies rows (numpy) or reserves memory for
    the whole file (torch).
    """
    require_no_pointer(path)
    try:
        with open(path, "rb"), safe_open(path, "numpy") as file:  # `open` says better why a file cannot be read
            if file.keys() != ["vectors"]:
                raise ValueError(f"tensors {file.keys()}, expected vectors")
            tensor = file.get_slice("vectors")
            (rows, width), dtype = tensor.get_shape(), tensor.get_dtype()
        if dtype == "F32":  # the library refuses bytes after the data
            start = path.stat().st_size - 4 * rows * width
            return np.memmap(path, dtype="<f4", mode="r", offset=start, shape=(rows, width))
    except (FileNotFoundError, IsADirectoryError, PermissionError) as error:
        raise cannot_read(path, error) from error
    except (SafetensorError, ValueError, OSError) as error:
        raise UserError(f"{path} holds no vectors: delete its folder and run its stage again") from error
    raise UserError(f"{path} holds {dtype}, expected float32: delete its folder and run its stage again")


def require(ids: Iterable[str], known: Collection[str], what: str) -> None:
    """UserError names the first id that `known` lacks, and what is missing for it."""
    for key in ids:
        if key not in known:
            raise UserError(f"no {what} for id {key}: run the stage that makes it again")


def rows_of(ids: Iterable[str], index: Mapping[str, int], what: str) -> np.ndarray:
    """Row numbers of ids, (N,) int64. UserError names the first id that is missing."""
    ids = list(ids)
    require(ids, index, what)
    return np.array([index[key] for key in ids], dtype=np.int64)
