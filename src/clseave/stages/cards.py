"""A model card in the Hugging Face format for every model that the settings name.

Reads:  what each training left in its model's folder (`training.json`); the weights, for their hashes.
Writes: a folder of cards, one Markdown file a model.
Thesis: none of these.
Cost:   seconds.
"""

from collections.abc import Sequence

from clseave import cards, cli, params
from clseave.disk import whole_folder
from clseave.storage import write_text
from clseave.training_record import named


def main(argv: Sequence[str] | None = None) -> None:
    """Read all records, then write the cards: a licence depends on the models that a model was made from."""
    args = cli.parse(argv, __doc__, ["params", "models", "out"])
    values = params.load(args.params, args.params, cards.Values)  # no key is one of a profile
    found = cards.read(args.models, values)
    records = {named(folder): record for folder, record in found.values()}
    with whole_folder(args.out) as made:
        made.mkdir()
        for name, (folder, record) in found.items():
            write_text(made / f"{name}.md", cards.render(folder, record, records))
