"""Align the words of every hypothesis with those of its translation by awesome-align on the pipeline's mBERT.

Reads:  translations of one language, mBERT.
Writes: one `Alignment` row per distinct hypothesis; counts of words and pairs, or, where the grammar has a gold
        alignment, error rates of the aligner and of a diagonal.
Thesis: 3.2.1.
Cost:   seconds a language for the miniature; 480,000 captions with mBERT: a day on one CPU core, 2 GiB; use a GPU.
        A killed run resumes, chunk by chunk; `--shard I/N` does the I-th of N shares of the chunks only.
"""

import json
import logging
from collections.abc import Callable, Container, Iterable, Iterator, Mapping
from functools import partial
from itertools import count, islice
from typing import Any

from clseave.foundation.errors import UserError
from clseave.foundation.files.formats import write_json
from clseave.foundation.process import cli, numerics, progress, shards
from clseave.foundation.process.resume import Parts, key_of
from clseave.foundation.process.shards import Shard
from clseave.foundation.rows.records import Alignment, Translation, iter_rows, write_rows
from clseave.foundation.settings import params
from clseave.foundation.settings.schema import AlignWords, Processor
from clseave.miniature import gold
from clseave.word_alignment import segmentation
from clseave.word_alignment.aligner import WordAligner, alignment_scores, diagonal, pair_counts

log = logging.getLogger(__name__)

CHUNK = 8192  # rows in memory, and sorted by length, at a time


class Values(Processor):
    """The settings that the stage reads."""

    align_words: AlignWords


def segmenter(language: str, segmenters: Mapping[str, str]) -> str:
    """Return the name of the word segmenter of a language."""
    return segmenters.get(language, segmenters["default"])


def words(row: Translation, language: str, segmenters: Mapping[str, str]) -> list[str]:
    """Return the words of the hypothesis ("en") or of its translation. UserError names a text without words."""
    if segmenter(language, segmenters) == "gold":
        return list(gold.sentence(row.source, language).words)
    text = row.source if language == "en" else row.text
    split = segmentation.words(text, language, segmenters)
    if not split:
        raise UserError(f"hypothesis {row.hypothesis_id}: no word in {text!r} ({language}): translate it again")
    return split


def align_rows(
    rows: Iterable[Translation],
    language: str,
    segmenters: Mapping[str, str],
    aligner: WordAligner,
    parts: Parts,
    *,
    shard: Shard | None = None,
    advance: Callable[[int], Any] | None = None,
) -> Iterator[Alignment]:
    """Yield alignments in the order of the rows, only of the shard's chunks if there is one; `parts` stores chunks.

    `advance` is called with the size of each batch that is aligned, not read from `parts`.
    """
    rows = iter(rows)
    for number in count():
        chunk = list(islice(rows, CHUNK))
        if not chunk:
            return
        if shard and not shard.has(number):
            continue
        sides = [[words(row, side, segmenters) for row in chunk] for side in ("en", language)]
        cut = aligner.cut
        found = parts.get_or_compute(number, partial(aligner.align_part, sides[0], sides[1], advance))
        aligner.cut = cut + found["cut"]
        for row, source, target, pairs in zip(chunk, *sides, json.loads(found["pairs"]), strict=True):
            yield Alignment(row.hypothesis_id, source, target, pairs)


def count_rows(total: int, kept: Container[int], shard: shards.Shard | None) -> int:
    """Return how many of `total` rows are still to align: those in chunks not in `kept`, and of the shard if any."""
    todo = (number for number in range(-(-total // CHUNK)) if number not in kept and (not shard or shard.has(number)))
    return sum(min(CHUNK, total - number * CHUNK) for number in todo)


def against_gold(rows: Iterable[Translation], links: list[Alignment], language: str) -> dict[str, Any]:
    """Return the error rates against the grammar's alignment, and that of the diagonal."""
    truth = [gold.word_pairs(row.source, language) for row in rows]
    straight = alignment_scores([diagonal(link.source_words, link.target_words) for link in links], truth)
    ours = alignment_scores([link.pairs for link in links], truth)
    return {**ours, "aer_diagonal": straight["aer"], "sentences": len(links)}


def main(argv: list[str] | None = None) -> None:
    """Check that every text has words, align, then score or count what was written."""
    paths = ["params", "profile", "translations", "mbert", "checkpoints", "out", "metrics"]
    args = cli.parse(argv, __doc__, paths, names=["language"], shard=True)
    shard: Shard | None = args.shard
    settings = params.load(args.params, args.profile, Values)
    values, language = settings.align_words, args.language
    device = numerics.start_torch(0, settings.device, settings.kernels)

    def rows() -> Iterator[Translation]:
        return iter_rows(args.translations, Translation)

    total = sum(bool(words(row, side, values.segmenters)) for row in rows() for side in ("en", language)) // 2
    aligner = WordAligner(args.mbert, values.layer, values.threshold, values.batch_size, device)
    inputs = {"translations": args.translations, "mbert": args.mbert}
    key = key_of(__name__, inputs, settings, device, language=language)
    bar = progress.bar(desc=f"word pairs {language}", total=total, unit="sentences")
    with shards.lock_shards(shard, args.checkpoints), bar:
        parts = Parts(args.checkpoints, key, alone=shard is None)
        bar.total = count_rows(total, parts.numbers(), shard)
        made = align_rows(rows(), language, values.segmenters, aligner, parts, shard=shard, advance=bar.update)
        if shard:
            log.info("shard %s: %d sentences are done", shard, sum(1 for _ in made))
            return
        write_rows(args.out, made)
        if aligner.cut:
            log.warning("%d sentences are longer than mBERT takes: their last words have no pair", aligner.cut)
        links, known = iter_rows(args.out, Alignment), {segmenter(side, values.segmenters) for side in ("en", language)}
        scores = against_gold(rows(), list(links), language) if known == {"gold"} else pair_counts(links)
        write_json(args.metrics, {"seed": 0, **scores})  # the seed of `start_torch`; nothing random is used
        parts.remove()
