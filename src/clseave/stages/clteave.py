"""CLTEAVE: train mBERT and the autoencoder's encoder to reproduce CLIP-VE's states of aligned words.

Reads:  train examples, translations and alignments of one language, CLIP-VE, mBERT, the autoencoder.
Writes: the student, a curve.
Thesis: 3.2.1, Figure 3.4 (both sides' last hidden states, first sub-word of each aligned word, mean squared error).
Cost:   about a minute.
"""

from collections.abc import Sequence
from pathlib import Path

import torch

from clseave.foundation.errors import UserError
from clseave.foundation.files.atomic import whole_folder
from clseave.foundation.files.formats import write_csv
from clseave.foundation.process import cli, distributed, numerics, ranks
from clseave.foundation.process.resume import begin
from clseave.foundation.rows.records import SPLITS, Alignment, Translation, distinct_hypotheses, read_splits
from clseave.foundation.rows.training_record import TrainingRecord, digests, named, plain
from clseave.foundation.settings import params
from clseave.foundation.settings.schema import Clteave, Processor, Sampler
from clseave.models.loading import load_text_encoder
from clseave.models.token_student import Autoencoder, TokenStudent
from clseave.models.tokens import load_tokenizer
from clseave.models.towers import load_text_tower
from clseave.objectives.token_distillation import TokenDistillation, fit
from clseave.word_alignment.token_pairs import read_aligned, token_pairs


class Values(Processor):
    """The settings that the stage reads."""

    sampler: Sampler
    clteave: Clteave


def prepare(
    teacher: Path,
    mbert: Path,
    autoencoder: Path,
    aligned: Sequence[tuple[Translation, Alignment]],
    values: Values,
    *,
    seed: int,
    device: torch.device,
) -> TokenDistillation:
    """Return the objective for sentence pairs with aligned words, from the folders of the three models.

    UserError when the widths of encoder and targets differ.
    """
    settings = values.clteave
    tower = load_text_tower(teacher).eval().requires_grad_(False).to(device)
    encoder = Autoencoder.load(autoencoder) if settings.relu else Autoencoder.load(autoencoder).without_relu()
    student = TokenStudent(load_text_encoder(mbert), load_tokenizer(mbert), encoder).to(device)
    student.autoencoder.decoder.requires_grad_(False)
    if settings.targets == "projected" and encoder.narrow != tower.width:
        raise UserError(
            f"clteave.targets: found 'projected', allowed with {teacher}: states, since its vectors have {tower.width} "
            f"elements and the encoder gives {encoder.narrow}"
        )
    pairs = {"words": settings.word_pairs, "terminal": settings.terminal_pair}
    data = token_pairs(aligned, tower.tokenizer, student.tokenizer, **pairs)
    return TokenDistillation(student, tower, data, settings, sampler=values.sampler, seed=seed)


def main(argv: list[str] | None = None) -> None:
    """Train for a fixed number of epochs and save."""
    args = cli.parse(
        argv,
        __doc__,
        "params profile examples translations alignments teacher mbert autoencoder checkpoints out curve".split(),
        numbers=["seed"],
    )
    values = params.load(args.params, args.profile, Values)
    device = distributed.start(numerics.start_torch(args.seed, values.device, values.kernels))
    wanted = distinct_hypotheses(read_splits(args.examples, SPLITS[:1]))
    aligned = read_aligned(args.translations, args.alignments, wanted, unpaired=values.clteave.terminal_pair)
    models = (args.teacher, args.mbert, args.autoencoder)
    objective = prepare(*models, aligned, values, seed=args.seed, device=device)
    names = "examples translations alignments teacher mbert autoencoder"
    inputs = {name: getattr(args, name) for name in names.split()}
    checkpoint = begin(args.checkpoints, __name__, inputs, values, device, seed=args.seed)
    curve = fit(objective, checkpoint)
    distributed.stop()
    if not ranks.first():
        return
    with whole_folder(args.out) as folder:
        objective.student.save(folder)
        TrainingRecord(
            name="clteave", stage="clteave", profile=args.profile.stem, seed=args.seed,
            languages=[args.translations.stem], parameters=plain(values), metrics=curve[-1],
            inputs=digests(inputs), bases=[named(args.mbert), named(args.teacher), named(args.autoencoder)],
        ).write(folder)  # fmt: skip
    write_csv(args.curve, curve)
    checkpoint.remove()
