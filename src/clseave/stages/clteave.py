"""CLTEAVE: train mBERT and the autoencoder's encoder to give CLIP-VE's states of aligned words.

Reads:  train examples, translations and alignments of one language, CLIP-VE, mBERT, the autoencoder.
Writes: the student, a curve.
Thesis: 3.2.1, Figure 3.4 (both sides' last hidden states, first sub-word of each aligned word, mean squared error).
Cost:   about a minute.
"""

import numpy as np
import torch

from clseave import cards, cli, distributed, numerics, params, ranks
from clseave.autoencoder import Autoencoder, TokenStudent
from clseave.batches import draw_batches
from clseave.disk import whole_folder
from clseave.optimisation import make_optimiser
from clseave.pairs import TokenPairs, gather, read_aligned, token_pairs
from clseave.records import SPLITS, distinct_hypotheses, read_splits
from clseave.resume import begin
from clseave.schema import Clteave, Processor, Sampler
from clseave.storage import write_csv
from clseave.student import load_mbert
from clseave.teacher import TextTower
from clseave.text import load_tokenizer, pad
from clseave.training import Task, train
from clseave.word_rows import hold_only, put_back


class Values(Processor):
    """What the stage reads of the settings."""

    sampler: Sampler
    clteave: Clteave


def make_task(student: TokenStudent, tower: TextTower, data: TokenPairs, values: Values, seed: int) -> Task:
    """Mean squared error between the encoded mBERT states and CLIP-VE's, over all aligned words of a batch."""
    lengths = np.maximum(data.source.lengths, data.target.lengths)
    device = next(student.parameters()).device

    def step(chosen: np.ndarray) -> torch.Tensor:
        source, target, left, right = (
            [side[row] for row in distributed.share(chosen)]
            for side in (data.source, data.target, data.source_positions, data.target_positions)
        )
        with torch.no_grad():
            teacher = gather(tower.final_states(*pad(source, tower.tokenizer, device)), left)
        states = student.states(*pad(target, student.tokenizer, device))
        words = int(data.target_positions.lengths[chosen].sum())
        return distributed.squared_error(student.autoencoder.encoder(gather(states, right)), teacher, words)

    def batches(epoch: int) -> list[np.ndarray]:
        return draw_batches(lengths, values.clteave.batch_size, values.sampler, [seed, epoch])

    return Task("CLTEAVE", student, batches, step)


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
    task = make_task(student, tower, data, values, args.seed)
    words = hold_only(student, [data.target], student.tokenizer.pad_token_id)
    groups = [{"params": [*student.bert.parameters(), *student.autoencoder.encoder.parameters()], "lr": settings.lr}]
    steps = settings.epochs * len(task.batches(1))
    optimiser, schedule = make_optimiser(groups, settings.weight_decay, steps, 0.0, "constant")
    words.follow(optimiser)
    inputs = {
        name: getattr(args, name) for name in "examples translations alignments teacher mbert autoencoder".split()
    }
    checkpoint = begin(args.checkpoints, __name__, inputs, values, device, seed=args.seed)
    train(task, optimiser, schedule, settings.epochs, checkpoint=checkpoint)
    distributed.stop()
    if not ranks.first():
        return
    put_back(student)
    with whole_folder(args.out) as args.out:
        student.save(args.out)
        cards.write(args, __name__, values, {"seed": args.seed, **task.curve[-1]}, args.translations.stem)
    write_csv(args.curve, task.curve)
    checkpoint.remove()
