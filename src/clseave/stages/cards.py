"""Write a model card in the Hugging Face format for every model in the settings.

Reads:  the training record of each model (`training.json` in its folder); the weights, for their hashes.
Writes: a folder of cards, one Markdown file a model.
Thesis: none.
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
    """Read all records, then write the cards: a licence depends on the models that a model derives from."""
    args = cli.parse(argv, __doc__, ["params", "models", "out"])
    values = params.load(args.params, args.params, model_card.Values)  # its keys are not those of a profile
    models = model_card.read(args.models, values)
    records = {named(folder): record for folder, record in models.values()}
    with whole_folder(args.out) as made:
        made.mkdir()
        for name, (folder, record) in models.items():
            write_text(made / f"{name}.md", model_card.render(folder, record, records))
