"""Multi30k: captions of Flickr30k's photos in English and German (Elliott, Frank, Sima'an and Specia 2016).

Task 1 has one sentence a photo and language: an English caption and its translation (train.en, train.de). Task 2 has
five captions a photo and language, written independently of each other (train.1.en ... train.5.de). Line n of each file
belongs to photo n of a list of photos (image_splits), whose lines are file names; those of photos of MSCOCO also name a
caption after #. The files may be .gz, and lie in the folder itself, in raw/, and in image_splits/, as published.
"""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType

from clseave.foundation.errors import UserError
from clseave.single_stream.readers.captions import Caption, image_id, report
from clseave.single_stream.readers.texts import clean_lines

# The first part of the names of a split's files.
TASK_1 = MappingProxyType({"train": "train", "dev": "val", "test": "test_2016_flickr"})
TASK_2 = MappingProxyType({"train": "train", "dev": "val", "test": "test_2016"})
SENTENCES = range(1, 6)  # files of each language and split in task 2
LISTS = ("image_splits", ".", "../task1/image_splits", "../image_splits")  # task 2 is published with train's list only


def read_task_1(folder: Path, languages: Sequence[str], files: Mapping[str, str] = TASK_1) -> Iterator[Caption]:
    """Yield one caption for each photo and language, split by split, photo by photo, in the order of `languages`.

    `files` names the splits to read. UserError: a missing file, or another number of lines than photos.
    """
    for split, name in files.items():
        names = [f"{name}.{code}" for code in languages]
        yield from _split(folder, split, name, dict(zip(names, languages, strict=True)))


def read_task_2(folder: Path, languages: Sequence[str], files: Mapping[str, str] = TASK_2) -> Iterator[Caption]:
    """Yield five captions for each photo and language, split by split, photo by photo, in the order of `languages`.

    `files` names the splits to read. UserError: a missing file, or another number of lines than photos.
    """
    for split, name in files.items():
        yield from _split(folder, split, name, {f"{name}.{n}.{code}": code for code in languages for n in SENTENCES})


def _split(folder: Path, split: str, name: str, files: Mapping[str, str]) -> Iterator[Caption]:
    """Yield the captions of a split; `files` maps the names of its files to their languages."""
    listing = _list_of_photos(folder, name)
    ids = read_ids(listing)
    readers = [(code, _sentences(_find(folder, file), listing, len(ids))) for file, code in files.items()]
    kept, left_out = 0, Counter[str]()
    for key in ids:
        for code, sentences in readers:
            if text := next(sentences):
                kept += 1
                yield Caption(key, code, text, split)
            else:
                left_out["blank"] += 1
    for _, sentences in readers:
        next(sentences, None)  # reads on to the end, where a line too many is found
    report(f"{folder}, {name}", kept, left_out)


def _sentences(path: Path, listing: Path, count: int) -> Iterator[str]:
    """Yield the lines of a file. UserError when there are more or fewer than `count`."""
    number = 0
    for number, text in clean_lines(path):
        if number > count:
            break
        yield text
    if number != count:
        found = "a line more" if number > count else "the last line"
        raise UserError(
            f"{path}:{number}: found {found}, expected {count:,} lines as in {listing}: fetch both files again"
        )


def read_ids(path: Path) -> list[str]:
    """Return the photo ids of a list of file names, one on each line. UserError for a blank or duplicate line."""
    lines = list(clean_lines(path))
    while lines and not lines[-1][1]:
        lines.pop()
    first: dict[str, int] = {}
    for number, line in lines:
        if not image_id(line.partition("#")[0]):
            raise UserError(f"{path}:{number}: found {line!r}, expected the file name of a photo: fetch the list again")
        if (other := first.setdefault(line, number)) != number:
            raise UserError(f"{path}:{number}: found {line!r}, also in line {other}, expected each once: remove one")
    if not lines:
        raise UserError(f"{path}: found no line, expected the file name of a photo on each: fetch the list again")
    return [image_id(line.partition("#")[0]) for _, line in lines]


def _list_of_photos(folder: Path, name: str) -> Path:
    """Return a split's list of photos: NAME.txt or NAME_images.txt; that of test_2016 is also test_2016_flickr's."""
    names = [f"{stem}{end}.txt" for stem in (name, f"{name}_flickr") for end in ("", "_images")]
    for place in LISTS:
        for file in names:
            if (path := folder / place / file).is_file():
                return path
    raise UserError(
        f"{folder}: found no {names[0]} and no {names[1]}, expected a list of photos: place it in image_splits"
    )


def _find(folder: Path, name: str) -> Path:
    """Return a file of sentences, in the folder or in raw/, also .gz. UserError when there is none."""
    for path in (folder / name, folder / "raw" / name, folder / f"{name}.gz", folder / "raw" / f"{name}.gz"):
        if path.is_file():
            return path
    raise UserError(f"{folder}: found no {name}, expected it there or in raw, also as {name}.gz: place the file there")
