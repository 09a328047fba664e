"""Translate every distinct hypothesis into one language; an interrupted run resumes.

Reads:  the English hypotheses; the cache of answers; from the source folder (which may be absent) the user's own
        translations (backend `files`) and corrections.
Writes: one `Translation` row per distinct hypothesis. In the cache, which is outside DVC's outputs, as DVC deletes
        these before a run: each answer as it arrives, the dates, and a list of failures. Each run requests the listed
        failures again, until they are corrected.
Thesis: 3.1.1 (machine translation of SNLI-VE; in the miniature the grammar's own translation).
Cost:   seconds by the grammar and from files; about two hours a language by Google at one request per second.
        `--shard I/N` requests the I-th of N shares only, each at that rate, which a run without it then uses.
"""

from clseave.foundation.process import cli
from clseave.foundation.process.shards import Shard
from clseave.foundation.rows.records import Translation, iter_rows, write_rows
from clseave.foundation.settings import params
from clseave.translation.answers import Answers
from clseave.translation.translators import Translating, make_translator, translate_hypotheses, translate_share


def main(argv: list[str] | None = None) -> None:
    """Translate with the profile's backend."""
    paths = ["params", "profile", "hypotheses", "source", "store", "out"]
    args = cli.parse(argv, __doc__, paths, names=["language"], shard=True)
    shard: Shard | None = args.shard
    settings = params.load(args.params, args.profile, Translating)
    hypotheses = {row.hypothesis_id: row.text for row in iter_rows(args.hypotheses, Translation)}
    translator = make_translator(settings.translate, args.language, args.source, settings.device)
    corrections = settings.translate.corrections
    kept = settings.translate.backend in ("google", "nmt")
    path = args.source / corrections if corrections else None
    with Answers(args.store, translator.name, translator.version, args.language, kept=kept, shard=shard) as answers:
        if shard:
            translate_share(hypotheses, translator, answers, path, shard)
            return
        keep = settings.translate.untranslated == "keep_english"
        rows = translate_hypotheses(hypotheses, translator, answers, path, keep_english=keep)
        write_rows(args.out, rows)
