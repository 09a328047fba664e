"""Align the words of every hypothesis with those of its translation by awesome-align on the pipeline's mBERT.

Reads:  translations of one language, mBERT.
Writes: one `Alignment` row per distinct hypothesis; error rates against the gold alignment, beside a diagonal's.
Thesis: 3.2.1.
Cost:   about 20 seconds a language.
"""

from clseave import cli, gold, numerics, params
from clseave.alignment import WordAligner, alignment_scores, diagonal
from clseave.records import Alignment, Translation, read_rows, write_rows
from clseave.storage import write_json

KEYS = ("align_words",)


def main(argv: list[str] | None = None) -> None:
    """Align, then score: the segmentation into words is the grammar's, as Japanese and Chinese have no spaces."""
    args = cli.parse(
        argv, __doc__, ["params", "profile", "translations", "mbert", "out", "metrics"], names=["language"]
    )
    settings = params.load(args.params, args.profile, KEYS).align_words
    numerics.seed_torch(0)
    rows = read_rows(args.translations, Translation)
    sources = [list(gold.sentence(row.source, "en").words) for row in rows]
    targets = [list(gold.sentence(row.source, args.language).words) for row in rows]
    aligner = WordAligner(args.mbert, settings.layer, settings.threshold, settings.batch_size)
    found = aligner.align(sources, targets)
    write_rows(
        args.out,
        [
            Alignment(row.hypothesis_id, source, target, pairs)
            for row, source, target, pairs in zip(rows, sources, targets, found, strict=True)
        ],
    )
    truth = [gold.word_pairs(row.source, args.language) for row in rows]
    straight = alignment_scores([diagonal(*pair) for pair in zip(sources, targets, strict=True)], truth)
    write_json(
        args.metrics, {**alignment_scores(found, truth), "aer_diagonal": straight["aer"], "sentences": len(rows)}
    )
