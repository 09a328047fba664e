"""A model card in the Hugging Face format for every model that the settings name.

Reads:  what each training left in its model's folder (`training.json`); the weights, for their hashes.
Writes: a folder of cards, one Markdown file a model.
Thesis: none of these.
Cost:   seconds.
"""

from collections.abc import Sequence

from clseave.cards import model_card
from clseave.foundation.files.atomic import whole_folder
from clseave.foundation.files.formats import write_text
from clseave.foundation.process import cli
from clseave.foundation.rows.training_record import named
from clseave.foundation.settings import params


def main(argv: Sequence[str] | None = None) -> None:
    """Read all records, then write the cards: a licence depends on the models that a model was made from."""
    args = cli.parse(argv, __doc__, ["params", "models", "out"])
    values = params.load(args.params, args.params, model_card.Values)  # no key is one of a profile
    found = model_card.read(args.models, values)
    records = {named(folder): record for folder, record in found.values()}
    with whole_folder(args.out) as made:
        made.mkdir()
        for name, (folder, record) in found.items():
            write_text(made / f"{name}.md", model_card.render(folder, record, records))
