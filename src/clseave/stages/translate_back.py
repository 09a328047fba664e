"""Translate the test hypotheses of one language back into English, for translate-test with CLIP-VE.

Reads:  test examples, the translations; the cache of answers and the source folder, as in `translate`.
Writes: one `Translation` row per distinct test hypothesis, into English; none with `back: false` in the profile.
Thesis: none; translate-test as in Conneau et al. 2018 (in the miniature the grammar paraphrases).
Cost:   seconds by the grammar; minutes by a translation service.
"""

from clseave.foundation.process import cli
from clseave.foundation.process.shards import Shard
from clseave.foundation.rows.records import (
    Translation,
    distinct_hypotheses,
    iter_rows,
    read_splits,
    require,
    write_rows,
)
from clseave.foundation.settings import params
from clseave.translation.answers import SOURCE, Answers
from clseave.translation.translators import Translating, make_translator, translate_hypotheses, translate_share


def main(argv: list[str] | None = None) -> None:
    """Translate into English with the profile's backend."""
    args = cli.parse(
        argv, __doc__, "params profile examples translations source store out".split(), names=["language"], shard=True
    )
    shard: Shard | None = args.shard
    settings = params.load(args.params, args.profile, Translating)
    if not settings.translate.back:
        if shard is None:
            write_rows(args.out, [])
        return
    wanted = distinct_hypotheses(read_splits(args.examples, ["test"]))
    texts = {row.hypothesis_id: row.text for row in iter_rows(args.translations, Translation)}
    require(wanted, texts, f"translation in {args.translations}")
    translator = make_translator(settings.translate, SOURCE, args.source, settings.device, args.language)
    kept = settings.translate.backend in ("google", "nmt")
    store = Answers(
        args.store, translator.name, translator.version, SOURCE, origin=args.language, kept=kept, shard=shard
    )
    texts = {key: texts[key] for key in wanted}
    with store as answers:
        if shard:
            translate_share(texts, translator, answers, None, shard)
            return
        # Unchanged texts, such as names, are not errors: they are evaluated unchanged.
        rows = translate_hypotheses(texts, translator, answers, keep_english=True)
        write_rows(args.out, rows)
