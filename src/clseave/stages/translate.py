"""Translate every distinct hypothesis into one language.

Reads:  the English hypotheses.
Writes: one `Translation` row per distinct hypothesis.
Thesis: 3.1.1 (machine translation of SNLI-VE; here the grammar's own translation).
Cost:   seconds.
"""

from clseave import cli, params
from clseave.records import Translation, read_rows, write_rows
from clseave.translation import make_translator, translate_hypotheses

KEYS = ("translate",)


def main(argv: list[str] | None = None) -> None:
    """Translate with the backend that the profile names."""
    args = cli.parse(argv, __doc__, ["params", "profile", "hypotheses", "out"], names=["language"])
    settings = params.load(args.params, args.profile, KEYS)
    hypotheses = {row.hypothesis_id: row.text for row in read_rows(args.hypotheses, Translation)}
    translator = make_translator(settings.translate, args.language)
    write_rows(args.out, translate_hypotheses(hypotheses, args.language, translator))
