"""Make the examples, English hypotheses, images and pre-training texts of the miniature.

Reads:  nothing but parameters.
Writes: examples/{train,dev,test}.jsonl, hypotheses/en.jsonl, images.zip, pretraining/LANGUAGE.txt, counts.json.
Thesis: 2.1 and 3.1 describe the corpus that this one stands in for.
Cost:   about 20 seconds, 1 GiB.
"""

from collections import Counter
from pathlib import Path

from clseave import cli, miniature, params, schema
from clseave.grammar import LANGUAGES
from clseave.images import write_archive
from clseave.records import SPLITS, Example, Translation, distinct_hypotheses, write_rows
from clseave.storage import write_json, write_text

KEYS = ("source",)


def count(examples: list[Example]) -> dict[str, object]:
    """What a reader wants to know of one split."""
    return {
        "rows": len(examples),
        "images": len({row.image_id for row in examples}),
        "hypotheses": len({row.hypothesis_id for row in examples}),
        "labels": Counter(row.label for row in examples),
        "kinds": Counter(str(row.kind) for row in examples),
        "kinds_and_labels": Counter(f"{row.kind} {row.label}" for row in examples),
        "unseen_rows": sum(not row.seen for row in examples),
    }


def write_texts(said: dict[str, miniature.Saying], source: schema.Scenes, folder: Path) -> None:
    """One monolingual text a language."""
    for language in LANGUAGES:
        lines = miniature.monolingual_text(said, language, source.text_lines, source.seed)
        write_text(folder / f"{language}.txt", "\n".join(lines) + "\n")


def main(argv: list[str] | None = None) -> None:
    """Build the three splits; images of all of them go into one archive."""
    args = cli.parse(argv, __doc__, ["params", "profile", "examples", "hypotheses", "images", "text", "counts"])
    settings = params.load(args.params, args.profile, KEYS)
    source, counts, pictures = settings.source, {}, []
    hypotheses: dict[str, str] = {}
    trained: set[str] | None = None
    for split in SPLITS:
        examples, sayings, scenes = miniature.build_split(split, source, trained)
        write_rows(args.examples / f"{split}.jsonl", examples)
        counts[split] = count(examples)
        hypotheses |= distinct_hypotheses(examples)
        pictures += list(miniature.draw_images(split, source, scenes))
        if split == "train":
            trained = set(sayings)
            write_texts(sayings, source, args.text)
    write_archive(args.images, pictures)
    write_rows(
        args.hypotheses, [Translation(key, text, "en", text, "original", "") for key, text in hypotheses.items()]
    )
    write_json(args.counts, counts)
