"""SNLI-VE from its sources: SNLI 1.0 with the official lists of images, prepared rows, or a data set of the hub.

By the rules of the official generator, pairs without a gold label and pairs of Visual Genome are left out, and the
photo decides the split. Rows come in its order: by photo as in the lists, then as in SNLI's train, dev and test. When
prepared rows or a data set have a photo in two splits, the earlier of train, dev and test keeps it.
"""

import logging
import re
import unicodedata
import zipfile
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from pydantic import Field, TypeAdapter, ValidationError

from clseave.corpora.downloads import locate
from clseave.foundation.errors import UserError
from clseave.foundation.files.archives import BROKEN
from clseave.foundation.files.formats import bounded_lines, cannot_read, parse_json, read_text, unpacked
from clseave.foundation.rows.labels import LABELS
from clseave.foundation.rows.records import Example, hypothesis_id
from clseave.foundation.settings.schema import SPLITS, HubRows, Section, SnliRows, SnliVeRows
from clseave.foundation.visible import visible

log = logging.getLogger(__name__)


class Expected(Section):
    """The expected counts of one split; None is not compared."""

    rows: int | None = None
    images: int | None = None
    labels: dict[str, int] = Field(default_factory=dict)


# Thesis, table 2.1; labels: README.md of github.com/necla-ml/SNLI-VE, which counts images as in the lists.
OFFICIAL_COUNTS = {
    "train": Expected(rows=529527, labels={"entailment": 176932, "neutral": 176045, "contradiction": 176550}),
    "dev": Expected(rows=17858, labels={"entailment": 5959, "neutral": 5960, "contradiction": 5939}),
    "test": Expected(rows=17901, labels={"entailment": 5973, "neutral": 5964, "contradiction": 5964}),
}
# Names of each field: in SNLI and SNLI-VE, in the early schema and XVNLI (sic), and in data sets of the hub.
NAMES = {
    "pair_id": ("pairID", "pair_id"),
    "image_id": ("Flickr30K_ID", "Flikr30kID", "Flickr30kID", "flickr30k_id", "image_id", "filename"),
    "hypothesis": ("sentence2", "hypothesis"),
    "label": ("gold_label", "label"),
}

Raw = tuple[int, Mapping[str, Any]]  # line or row number from 1, and its fields


class Pair(NamedTuple):
    """A labelled pair before it has a split; its text is NFC-normalised and stripped, as in `hypothesis_id`."""

    pair_id: str
    image_id: str
    hypothesis: str
    label: str
    file: str = ""
    line: int = 0

    @property
    def place(self) -> str:
        """The file and line the pair was read from."""
        return f"{self.file}:{self.line}"


def read_corpus(
    rows: SnliRows | SnliVeRows | HubRows, source: Path, downloads: Path, held_out: Collection[str] = ()
) -> tuple[dict[str, list[Example]], dict[str, int]]:
    """Return the examples by split, and the number of rows left out, by reason. UserError for invalid rows or lists.

    `held_out` are photos whose rows are left out of train and dev.
    """
    skipped: Counter[str] = Counter()
    pairs: dict[str, Iterable[Pair]] = {}
    if isinstance(rows, SnliRows):
        pairs |= _from_snli(rows, source, downloads, skipped)
    elif isinstance(rows, SnliVeRows):
        pairs |= {split: read_pairs(source / name, skipped) for split, name in rows.files.items()}
    else:
        pairs |= {split: _from_hub(rows, split, source, downloads, skipped) for split in SPLITS}
    return to_corpus(pairs, skipped, held_out)


def to_corpus(
    pairs: Mapping[str, Iterable[Pair]], skipped: Counter[str], held_out: Collection[str]
) -> tuple[dict[str, list[Example]], dict[str, int]]:
    """Return the examples of each split, and the rows left out, to which `skipped` is a beginning, as `read_corpus`."""
    examples = _to_examples(pairs, skipped, held_out)
    _separate_photos(examples, skipped)
    return examples, dict(skipped)


def _to_examples(
    pairs: Mapping[str, Iterable[Pair]], skipped: Counter[str], held_out: Collection[str]
) -> dict[str, list[Example]]:
    """Return examples with hypothesis ids; `seen` tells whether train has the hypothesis. Repeated pairs are left out.

    UserError for a pair id with two contents or in two splits, and for a split without a labelled pair.
    """
    known: dict[str, tuple[str, Pair]] = {}
    trained: set[str] = set()
    examples: dict[str, list[Example]] = {split: [] for split in SPLITS}
    for split in SPLITS:
        for pair in pairs[split]:
            place, first = known.setdefault(pair.pair_id, (split, pair))
            if (place, first[:4]) != (split, pair[:4]):
                how = "in two splits" if place != split else "with two contents"
                raise UserError(f"duplicate pair id {pair.pair_id}: {first.place} and {pair.place}, {how}: keep one")
            if first is not pair:
                skipped["repeated_pair"] += 1
                continue
            if split != "test" and pair.image_id in held_out:
                skipped["photo_held_out"] += 1
                continue
            key = hypothesis_id(pair.hypothesis)
            if split == "train":
                trained.add(key)
            fields = (pair.pair_id, pair.image_id, key, pair.hypothesis, pair.label, split)
            examples[split].append(Example(*fields, kind=None, seen=key in trained))
        if not examples[split]:
            raise UserError(f"the {split} split has no labelled pair: check the files and lists that source.rows names")
    return examples


def _separate_photos(examples: dict[str, list[Example]], skipped: Counter[str]) -> None:
    """Leave out rows of dev and test whose photo is in an earlier split; log their number and the first such photo.

    Else models would be selected or tested on training photos. UserError when no row of a split remains.
    """
    owner: dict[str, str] = {}
    for split in SPLITS:
        shared = [row for row in examples[split] if owner.setdefault(row.image_id, split) != split]
        if not shared:
            continue
        keepers = Counter(owner[row.image_id] for row in shared)
        skipped.update({f"{split}_rows_on_photos_of_{keeper}": rows for keeper, rows in keepers.items()})
        found = (
            f"{len(shared):,} of {len(examples[split]):,} rows of {split} are on photos that {' and '.join(keepers)} "
            f"also has, the first photo {shared[0].image_id}"
        )
        if len(shared) == len(examples[split]):
            raise UserError(f"{found}: expected splits that share no photo: correct what source.rows names")
        log.warning("%s: these rows are left out", found)
        examples[split] = [row for row in examples[split] if owner[row.image_id] == split]


def warn_of_copies(owner: Mapping[str, str], hashes: Mapping[str, str]) -> None:
    """Log how many photos have the same bytes as one in an earlier split; `owner` and `hashes` are by photo id."""
    kept: dict[str, str] = {}
    for split in SPLITS:
        for image_id in (image_id for image_id, of in owner.items() if of == split):
            kept.setdefault(hashes[image_id], image_id)
    copies = [(image_id, kept[hashes[image_id]]) for image_id in owner]
    if across := [(one, first) for one, first in copies if owner[one] != owner[first]]:
        one, first = across[0]
        log.warning(
            "photos with the same bytes as one of an earlier split: %d, the first %s of %s (the same as %s of %s)",
            *(len(across), one, owner[one], first, owner[first]),
        )


def parse(raw: Mapping[str, Any], *, own: bool = False) -> Pair | str:
    """Parse one row, or return the reason to leave it out. ValueError for anything unexpected in it.

    With `own`, the row is the user's, where no id means a photo of Visual Genome.
    """
    pair_id, hypothesis, label = (_field(raw, name) for name in ("pair_id", "hypothesis", "label"))
    if label == "-":
        return "no_gold_label"
    if "vg_" in pair_id and not own:
        return "visual_genome"
    if label not in LABELS:
        raise ValueError(f"label {label!r} is not one of {', '.join(LABELS)} or '-'")
    # Tabs and line breaks become spaces: they would break rows in lists of failures and files of translations.
    text = re.sub(r"[\t\n\v\f\r\x1c-\x1e\x85\u2028\u2029]+", " ", unicodedata.normalize("NFC", hypothesis)).strip()
    if "\0" in text:
        raise ValueError(f"the hypothesis holds a NUL character: {text[:80]!r}")
    if not visible(text):
        return "blank_hypothesis"
    if not pair_id.strip():
        raise ValueError("the pair id is blank")
    if not pair_id.isprintable():
        raise ValueError(f"the pair id {pair_id!r} holds a character that cannot be seen")
    (pair_id + text).encode()  # ValueError for lone surrogates, which no UTF-8 file can hold
    if any(name in raw for name in NAMES["image_id"]):
        image_id = re.sub(r"\.(jpe?g|png)$", "", _field(raw, "image_id"), flags=re.IGNORECASE)  # as `photos.by_id`
    else:  # SNLI: a pair id is its caption's id, which starts with the photo's file name
        image_id, found, _ = pair_id.rpartition(".jpg")
        if not found:
            raise ValueError(f"pair id {pair_id!r} names no photo: expected PHOTO.jpg#...")
    image_id = unicodedata.normalize("NFC", image_id)
    if image_id in ("", ".", "..") or set(image_id) & set("/\\\0") or not image_id.isprintable():
        raise ValueError(f"photo {image_id!r} is no safe file name")
    return Pair(pair_id, image_id, text, label)


def _field(raw: Mapping[str, Any], name: str) -> str:
    """Return the text of a field under any of its names. ValueError when it is missing or not text."""
    for key in NAMES[name]:
        if isinstance(value := raw.get(key), str):
            return value
        if key in raw:
            raise ValueError(f"{key} is {value!r}, expected text")
    raise ValueError(f"no field {' or '.join(NAMES[name])}; found {', '.join(map(str, raw)) or 'none'}")


def read_pairs(path: Path, skipped: Counter[str]) -> Iterator[Pair]:
    """Yield the pairs of a file and count the rows left out. UserError for an invalid row; it names the line."""
    return _pairs(read_file(path), path, skipped)


def _pairs(rows: Iterable[Raw], name: object, skipped: Counter[str]) -> Iterator[Pair]:
    """Parse rows and count those left out. UserError for an invalid row; it names file and line."""
    name = str(name)
    for number, raw in rows:
        try:
            pair = parse(raw)
        except ValueError as error:
            raise UserError(f"{name}:{number}: {error}") from error
        if isinstance(pair, str):
            skipped[pair] += 1
        else:
            yield pair._replace(file=name, line=number)


def read_file(path: Any) -> Iterator[Raw]:
    """Yield the rows of JSON Lines, or of SNLI's tab-separated format (.txt), also .gz or in a zip.

    UserError when a line cannot be read; it names the line.
    """
    number, header = 0, None
    try:
        with path.open("rb") as stream:
            for number, line in bounded_lines(unpacked(stream, path), path):
                if path.name.endswith((".txt", ".txt.gz")):
                    cells = line.decode().rstrip("\r\n").split("\t")
                    if header is None:
                        header = _header(cells)
                    else:
                        yield number, _named(header, cells)
                elif isinstance(row := parse_json(line.decode()), dict):
                    yield number, row
                else:
                    raise ValueError(f"expected a JSON object, found {type(row).__name__}")
    except (FileNotFoundError, IsADirectoryError, PermissionError) as error:
        raise cannot_read(path, error, "place the file (or a link to it) there") from error
    except BROKEN as error:
        raise UserError(f"{path}:{number}: cannot be read as a row: {error}") from error


def _header(cells: list[str]) -> list[str]:
    """Return the names of the columns. ValueError for a duplicate name."""
    if twice := [name for name, count in Counter(cells).items() if count > 1 and name]:
        raise ValueError(f"two columns are named {twice[0]!r}")
    return cells


def _named(header: list[str], cells: list[str]) -> dict[str, str]:
    """Return the cells by column name; the last cells may be missing. ValueError for too many, as after a tab in a
    sentence.
    """
    if len(cells) > len(header):
        raise ValueError(f"{len(cells)} cells for {len(header)} columns: is there a tab in a sentence?")
    return dict(zip(header, cells, strict=False))


def _from_snli(rows: SnliRows, source: Path, downloads: Path, skipped: Counter[str]) -> dict[str, list[Pair]]:
    """Return the pairs of all of SNLI by the split of their photo, in the order of the lists."""
    train_val = _read_list(locate(rows.train_val, source, downloads))
    test = _read_list(locate(rows.test, source, downloads))
    if both := set(test) & set(train_val):
        places = [_places(locate(one, source, downloads), min(both))[0] for one in (rows.train_val, rows.test)]
        raise UserError(f"duplicate photo {min(both)}: {' and '.join(places)}: remove it from one")
    listed = {"train": train_val[: -rows.dev_images], "dev": train_val[-rows.dev_images :], "test": test}
    by_photo: dict[str, list[Pair]] = {image_id: [] for image_id in train_val + test}
    snli = locate(rows, source, downloads)
    for split in SPLITS:
        path = _snli_file(snli, split)
        for pair in _pairs(read_file(path), path, skipped):
            if pair.image_id in by_photo:
                by_photo[pair.image_id].append(pair)
            else:
                skipped["photo_in_no_list"] += 1
    return {split: [pair for image_id in listed[split] for pair in by_photo[image_id]] for split in SPLITS}


def _read_list(path: Path) -> list[str]:
    """Return the photo ids of a list, one per line. UserError for a duplicate; it names both lines."""
    ids = [line.removesuffix(".jpg") for line in read_text(path, remedy="place the list there").split()]
    if odd := [image_id for image_id in ids if not image_id.isprintable() or "/" in image_id]:
        raise UserError(f"{path}: found {odd[0][:80]!r}, expected the name of a photo on each line")
    if twice := [image_id for image_id, count in Counter(ids).items() if count > 1]:
        places = _places(path, twice[0])
        raise UserError(f"duplicate photo {twice[0]}: {places[0]} and {places[-1]}: keep one")
    return ids


def _places(path: Path, image_id: str) -> list[str]:
    """Return the file and line of each mention of a photo in a list."""
    lines = enumerate(read_text(path).split("\n"), start=1)
    return [f"{path}:{number}" for number, line in lines if {image_id, f"{image_id}.jpg"} & set(line.split())]


def _snli_file(snli: Path, split: str) -> Any:
    """Return one of SNLI's three files, .jsonl preferred to .txt: a path in a folder, or a path in a zip."""
    try:
        root: Any = snli if snli.is_dir() else zipfile.Path(snli)
    except BROKEN as error:
        raise UserError(f"{snli} is no whole zip ({error}): replace it with a whole copy and run again") from error
    for suffix in (".jsonl", ".txt", ".jsonl.gz", ".txt.gz"):
        for folder in (root, root / "snli_1.0"):
            if (path := folder / f"snli_1.0_{split}{suffix}").is_file():
                return path
    raise UserError(f"{snli}: no snli_1.0_{split}.jsonl and no .txt: expected SNLI 1.0 as published")


def _from_hub(rows: HubRows, split: str, source: Path, downloads: Path, skipped: Counter[str]) -> Iterator[Pair]:
    """Yield the pairs of one split of a data set; without a column of pair ids, the row numbers are used."""
    table = _load_dataset(rows, rows.splits[split], source, downloads)
    if not (known := [key for key in table.features if key in set().union(*NAMES.values())]):
        raise UserError(f"{rows.id}: no column of a pair; found {', '.join(table.features)}")
    table = table.select_columns(known)
    kinds = {key: kind for key, kind in table.features.items() if hasattr(kind, "int2str")}  # ClassLabel: -1 is none

    def named(row: dict[str, Any]) -> dict[str, str]:
        return {key: "-" if row[key] in (None, -1) else kinds[key].int2str(row[key]) for key in kinds}

    raws = ((n, {"pair_id": f"{split}-{n:06d}"} | row | named(row)) for n, row in enumerate(table, start=1))
    try:
        yield from _pairs(raws, f"{rows.id}/{rows.splits[split]}", skipped)
    except (ValueError, TypeError, OSError) as error:  # a damaged table, or a class without a name
        raise UserError(f"{rows.id}, split {rows.splits[split]}, cannot be read: {error}") from error


def _load_dataset(rows: HubRows, name: str, source: Path, downloads: Path) -> Any:
    """Return a split of a data set on the hub, or in a local folder (an id that starts with "." or "/")."""
    import datasets  # slow to import

    place = str(source / rows.id) if rows.id.startswith((".", "/")) else rows.id
    try:
        if Path(place, "dataset_dict.json").is_file():
            return datasets.load_from_disk(place)[name]
        return datasets.load_dataset(place, revision=rows.revision, split=name, cache_dir=str(downloads / "datasets"))
    except Exception as error:  # from a dozen file readers, the network or the cache
        reason = " ".join(str(error.__cause__ or error).split())
        raise UserError(f"{place}, split {name}, cannot be loaded: {reason}") from error


def expected_counts(name: str, source: Path) -> dict[str, Expected]:
    """Return the counts named by `source.expected_counts`: official, none, or a JSON file {split: {rows, labels, ...}}.

    UserError when the file is missing or invalid.
    """
    if name in ("official", "none"):
        return OFFICIAL_COUNTS if name == "official" else {}
    try:
        content = read_text(source / name, remedy="place the file there")
    except UserError as error:
        raise UserError(f"source.expected_counts: {error}; or say official or none") from error
    try:
        return TypeAdapter(dict[str, Expected]).validate_json(content, strict=True)
    except ValidationError as error:
        first = error.errors()[0]
        raise UserError(f"{source / name}: {'.'.join(map(str, first['loc']))}: {first['msg'].lower()}") from error


def check_counts(counts: Mapping[str, dict[str, Any]], expected: Mapping[str, Expected]) -> None:
    """Compare the `counts` of the splits. UserError names each split and quantity that differs, with both numbers."""
    differences = []
    for split, wanted in expected.items():
        if split not in counts:
            raise UserError(f"source.expected_counts: found split {split!r}, allowed: {', '.join(counts)}")
        found = counts[split] | counts[split]["labels"]
        for what, number in (wanted.model_dump(exclude_none=True, exclude={"labels"}) | wanted.labels).items():
            if found.get(what, 0) != number:
                differences.append(f"{split} {what} {found.get(what, 0):,}, expected {number:,}")
    if differences:
        raise UserError(f"counts differ from source.expected_counts: {'; '.join(differences)}")
