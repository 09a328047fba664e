"""CLTEAVE: train mBERT and the autoencoder's encoder to give CLIP-VE's states of aligned words.

Reads:  train examples, translations and alignments of one language, CLIP-VE, mBERT, the autoencoder.
Writes: the student, a curve.
Thesis: 3.2.1, Figure 3.4 (both sides' last hidden states, first sub-word of each aligned word, mean squared error).
Cost:   about a minute.
"""

from clseave.foundation.files.atomic import whole_folder
from clseave.foundation.files.formats import write_csv
from clseave.foundation.process import cli, distributed, numerics, ranks
from clseave.foundation.process.resume import begin
from clseave.foundation.rows.records import SPLITS, distinct_hypotheses, read_splits
from clseave.foundation.rows.training_record import TrainingRecord, digests, named, plain
from clseave.foundation.settings import params
from clseave.foundation.settings.schema import Clteave, Processor, Sampler
from clseave.models.clip_ve import TextTower
from clseave.models.student import load_mbert
from clseave.models.token_student import Autoencoder, TokenStudent
from clseave.models.tokens import load_tokenizer
from clseave.objectives.token_distillation import TokenDistillation
from clseave.training.loop import train
from clseave.training.optimiser import make_optimiser
from clseave.training.used_embeddings import hold_only, put_back
from clseave.word_alignment.token_pairs import read_aligned, token_pairs


class Values(Processor):
    """What the stage reads of the settings."""

    sampler: Sampler
    clteave: Clteave


def main(argv: list[str] | None = None) -> None:
    """Train for a fixed number of epochs and save."""
    args = cli.parse(
        argv,
        __doc__,
        "params profile examples translations alignments teacher mbert autoencoder checkpoints out curve".split(),
        numbers=["seed"],
    )
    values = params.load(args.params, args.profile, Values)
    settings = values.clteave
    device = distributed.start(numerics.start_torch(args.seed, values.device, values.kernels))
    tower = TextTower.load(args.teacher).eval().requires_grad_(False).to(device)
    student = TokenStudent(load_mbert(args.mbert), load_tokenizer(args.mbert), Autoencoder.load(args.autoencoder))
    student.to(device).autoencoder.decoder.requires_grad_(False)
    wanted = distinct_hypotheses(read_splits(args.examples, SPLITS[:1]))
    aligned = read_aligned(args.translations, args.alignments, wanted)
    data = token_pairs(aligned, tower.tokenizer, student.tokenizer)
    objective = TokenDistillation(student, tower, data, settings, sampler=values.sampler, seed=args.seed)
    words = hold_only(student, [data.target], student.tokenizer.pad_token_id)
    groups = [{"params": [*student.bert.parameters(), *student.autoencoder.encoder.parameters()], "lr": settings.lr}]
    steps = settings.epochs * len(objective.batches(1))
    optimiser, schedule = make_optimiser(groups, settings.weight_decay, steps, 0.0, "constant")
    words.follow(optimiser)
    names = "examples translations alignments teacher mbert autoencoder"
    inputs = {name: getattr(args, name) for name in names.split()}
    checkpoint = begin(args.checkpoints, __name__, inputs, values, device, seed=args.seed)
    curve, _ = train(objective, optimiser, schedule, settings.epochs, checkpoint=checkpoint)
    distributed.stop()
    if not ranks.first():
        return
    put_back(student)
    with whole_folder(args.out) as folder:
        student.save(folder)
        TrainingRecord(
            name="clteave", stage="clteave", profile=args.profile.stem, seed=args.seed,
            languages=[args.translations.stem], parameters=plain(values), metrics=curve[-1],
            inputs=digests(inputs), bases=[named(args.mbert), named(args.teacher), named(args.autoencoder)],
        ).write(folder)  # fmt: skip
    write_csv(args.curve, curve)
    checkpoint.remove()
