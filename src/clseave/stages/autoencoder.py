"""Train the multilingual autoencoder on mBERT's states of aligned words, all languages together.

Reads:  train examples, alignments and translations of every language, mBERT, CLIP for its width.
Writes: the autoencoder, a curve.
Thesis: 3.2.2 (linear layer and ReLU each way, mean squared error; its final training loss is 0.1529).
Cost:   about a minute.
"""

from itertools import chain
from pathlib import Path

from transformers import PreTrainedTokenizerBase

from clseave.foundation.files.atomic import whole_folder
from clseave.foundation.files.formats import write_csv
from clseave.foundation.process import cli, numerics
from clseave.foundation.process.resume import begin
from clseave.foundation.rows.records import SPLITS, distinct_hypotheses, read_splits
from clseave.foundation.rows.training_record import TrainingRecord, digests, named, plain
from clseave.foundation.settings import params
from clseave.foundation.settings.references import warn_of_stale
from clseave.foundation.settings.schema import AutoencoderParams, Languages, Processor, Sampler
from clseave.models.loading import load_text_encoder
from clseave.models.token_student import Autoencoder
from clseave.models.tokens import Ragged, load_tokenizer
from clseave.models.towers import load_text_tower
from clseave.objectives.reconstruction import Reconstruction
from clseave.training.loop import train
from clseave.training.optimiser import make_optimiser
from clseave.word_alignment.token_pairs import first_positions, read_aligned


class Values(Processor):
    """The settings that the stage reads."""

    languages: Languages
    autoencoder: AutoencoderParams
    sampler: Sampler


def named_files(folders: list[Path], languages: list[str]) -> list[list[Path]]:
    """Return each folder's files of English and of `languages`; warn of files that an earlier run left."""
    files = [sorted(folder.glob("*.jsonl")) for folder in folders]
    named = [[path for path in part if path.stem in {"en", *languages}] for part in files]
    warn_of_stale(set(chain(*files)) - set(chain(*named)))
    return named


def aligned_words(
    translations: Path, alignments: Path, language: str, wanted: set[str], tokenizer: PreTrainedTokenizerBase
) -> tuple[Ragged, Ragged]:
    """Return the token ids of the wanted sentences of a language, and the positions of their aligned words."""
    rows = read_aligned(translations / f"{language}.jsonl", alignments / f"{language}.jsonl", wanted)
    tokens, starts = first_positions(tokenizer, [row.text for row, _ in rows], [link.target_words for _, link in rows])
    positions = ([first[j] for _, j in link.pairs] for (_, link), first in zip(rows, starts, strict=True))
    return tokens, Ragged.of(sorted({position for position in row if position is not None}) for row in positions)


def main(argv: list[str] | None = None) -> None:
    """Train on token states computed batch by batch from the frozen mBERT."""
    paths = "params profile examples hypotheses alignments mbert clip checkpoints out curve".split()
    args = cli.parse(argv, __doc__, paths, numbers=["seed"])
    values = params.load(args.params, args.profile, Values)
    settings = values.autoencoder
    device = numerics.start_torch(args.seed, values.device, values.kernels)
    mbert, tokenizer = load_text_encoder(args.mbert).eval().to(device), load_tokenizer(args.mbert)
    wanted = set(distinct_hypotheses(read_splits(args.examples, SPLITS[:1])))
    parts = [aligned_words(args.hypotheses, args.alignments, code, wanted, tokenizer) for code in values.languages]
    args.hypotheses, args.alignments = named_files([args.hypotheses, args.alignments], values.languages)
    model = Autoencoder(mbert.config.hidden_size, load_text_tower(args.clip).states_width).to(device)
    tokens, positions = (Ragged.joined(side) for side in zip(*parts, strict=True))
    objective = Reconstruction(
        model, mbert, tokenizer, tokens, positions, settings=settings, sampler=values.sampler, seed=args.seed
    )
    groups = [{"params": model.parameters(), "lr": settings.lr}]
    steps = settings.epochs * len(objective.batches(1))
    optimiser, schedule = make_optimiser(groups, settings.weight_decay, steps, 0.0, "constant")
    inputs = {name: getattr(args, name) for name in "examples hypotheses alignments mbert clip".split()}
    checkpoint = begin(args.checkpoints, __name__, inputs, values, device, seed=args.seed)
    curve, _ = train(objective, optimiser, schedule, settings.epochs, checkpoint=checkpoint)
    with whole_folder(args.out) as folder:
        model.save(folder)
        TrainingRecord(
            name="autoencoder", stage="autoencoder", profile=args.profile.stem, seed=args.seed,
            languages=values.languages, parameters=plain(values), metrics=curve[-1],
            inputs=digests(inputs), bases=[named(args.clip), named(args.mbert)],
        ).write(folder)  # fmt: skip
    write_csv(args.curve, curve)
    checkpoint.remove()
