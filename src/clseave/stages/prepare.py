"""Make the examples and English hypotheses, and the images: generated, with pre-training texts, or a list of photos.

Reads:  parameters; for a corpus of photos also the user's files in the source folder, or downloads.
Writes: examples/SPLIT.jsonl, hypotheses/en.jsonl, counts.json; images/archive.zip (generated) or images/photos.jsonl
        (name and hash of each photo); pretraining/LANGUAGE.txt (generated); independent/: test rows translated by
        others.
Thesis: 2.1 and 3.1 (SNLI-VE over Flickr30k), or the generated corpus that replaces it.
Cost:   about 20 seconds and 1 GiB on the miniature; a minute or two and 1 GiB for SNLI-VE, after 90 MiB of download.
"""

import logging
from collections import Counter
from pathlib import Path
from typing import Any

from clseave.corpora import own_rows, photos, snli_ve, xvnli
from clseave.corpora.images import write_archive
from clseave.foundation.errors import UserError
from clseave.foundation.files.atomic import whole_folder
from clseave.foundation.files.formats import write_json, write_text
from clseave.foundation.process import cli
from clseave.foundation.rows.records import SPLITS, Example, Translation, distinct_hypotheses, write_rows
from clseave.foundation.settings import params, schema
from clseave.miniature import world
from clseave.miniature.grammar import LANGUAGES

Made = tuple[dict[str, list[Example]], dict[str, Any]]  # examples by split, and their counts
log = logging.getLogger(__name__)


def count(examples: list[Example]) -> dict[str, Any]:
    """Return the counts of a split."""
    kinds = {
        "kinds": Counter(str(row.kind) for row in examples),
        "kinds_and_labels": Counter(f"{row.kind} {row.label}" for row in examples),
    }
    return {
        "rows": len(examples),
        "images": len({row.image_id for row in examples}),
        "hypotheses": len({row.hypothesis_id for row in examples}),
        "labels": Counter(row.label for row in examples),
        "unseen_rows": sum(not row.seen for row in examples),
    } | (kinds if any(row.kind for row in examples) else {})


def write_examples(folder: Path, examples: dict[str, list[Example]], hypotheses: Path) -> None:
    """Write the examples of each split, and each distinct hypothesis once."""
    texts: dict[str, str] = {}
    with whole_folder(folder) as made:
        for split in SPLITS:
            write_rows(made / f"{split}.jsonl", examples[split])
            texts |= distinct_hypotheses(examples[split])
    write_rows(hypotheses, (Translation(key, text, "en", text, "original", "") for key, text in texts.items()))


def write_independent(folder: Path, examples: list[Example], texts: dict[str, list[Translation]]) -> None:
    """Write the independent examples, and their texts in each language; an empty file without such examples."""
    with whole_folder(folder) as made:
        write_rows(made / "examples.jsonl", examples)
        for language, rows in texts.items():
            write_rows(made / f"{language}.jsonl", rows)


def write_texts(said: dict[str, world.Saying], source: schema.Scenes, folder: Path) -> None:
    """Write a monolingual text for each language."""
    with whole_folder(folder) as made:
        for language in LANGUAGES:
            lines = world.monolingual_text(said, language, source.text_lines, source.seed)
            write_text(made / f"{language}.txt", "\n".join(lines) + "\n")


def from_scenes(source: schema.Scenes, *, images: Path, independent: Path, text: Path) -> Made:
    """Generate the miniature; the images of all splits are in one archive."""
    examples: dict[str, list[Example]] = {}
    pictures = []
    trained: set[str] | None = None
    for split in SPLITS:  # test is the last
        examples[split], sayings, scenes = world.build_split(split, source, trained)
        pictures += list(world.draw_images(split, source, scenes))
        if split == "train":
            trained = set(sayings)
            write_texts(sayings, source, text)
    write_independent(independent, *world.paraphrased_examples(examples[split], sayings, source.independent_images))
    write_archive(images / "archive.zip", pictures)
    return examples, {split: count(rows) for split, rows in examples.items()}


def from_photos(
    source: schema.Photos, folder: Path, downloads: Path, problems: Path, *, images: Path, independent: Path
) -> Made:
    """Read the corpus from the user's folder, and list its photos. UserError for missing rows or photos."""
    if isinstance(source.rows, schema.TableRows) and not (folder / source.photos).exists():
        raise UserError(f"{folder / source.photos} does not exist: place your photos there, or a link to them")
    photo_path = photos.find(folder, source.photos)
    expected = snli_ve.expected_counts(source.expected_counts, folder)
    others = folder / source.independent if source.independent else None
    held_out = xvnli.photos(others) if others and source.independent_held_out else frozenset()
    if isinstance(source.rows, schema.TableRows):
        examples, skipped = own_rows.read_corpus(source.rows, folder, problems, held_out)
    else:
        examples, skipped = snli_ve.read_corpus(source.rows, folder, downloads, held_out)
    counts: dict[str, Any] = {split: count(rows) for split, rows in examples.items()}
    log.info("%s rows; left out: %s", sum(map(len, examples.values())), skipped or "none")
    snli_ve.check_counts(counts, expected)
    collection = photos.open_collection(photo_path)
    owner = {row.image_id: split for split, rows in examples.items() for row in rows}
    translated = xvnli.read(others, owner) if others else xvnli.Independent([], {}, {})
    used = sorted({*owner, *(row.image_id for row in translated.examples)})
    photos.require_photos(collection, used, problems)
    described = photos.describe(collection, used, folder)
    snli_ve.warn_of_copies(owner, {photo.image_id: photo.sha256 for photo in described})
    photos.write_photos(images / "photos.jsonl", described)
    write_independent(independent, translated.examples, translated.texts)
    about = {"rows": len(translated.examples), "left_out": translated.left_out}
    return examples, counts | {"skipped": skipped, "independent": about}


def main(argv: list[str] | None = None) -> None:
    """Make the three splits from the profile's source."""
    names = "params profile examples hypotheses independent images text counts source downloads problems"
    args = cli.parse(argv, __doc__, names.split())
    source = params.load(args.params, args.profile, schema.Corpus).source
    if isinstance(source, schema.Scenes):
        examples, counts = from_scenes(source, images=args.images, independent=args.independent, text=args.text)
    else:
        paths = {"downloads": args.downloads, "images": args.images, "independent": args.independent}
        examples, counts = from_photos(source, args.source, **paths, problems=args.problems)
        args.text.mkdir(parents=True, exist_ok=True)  # empty: the backbones are pre-trained
    write_examples(args.examples, examples, args.hypotheses)
    write_json(args.counts, counts)
