"""Train one of the two backbones of the miniature: CLIP or the multilingual BERT.

Reads:  pre-training texts; CLIP's scenes are drawn and rendered while it trains.
Writes: a model folder in Hugging Face layout, and a curve.
Thesis: 2.2 (the thesis downloads both).
Cost:   about 4 minutes for CLIP, 2 for mBERT, 1 GiB each.
"""

from pathlib import Path

from clseave import cli, numerics, params, schema
from clseave.grammar import LANGUAGES
from clseave.images import processor
from clseave.miniature import caption_batches
from clseave.pretraining import build_clip, build_mbert, contrastive_task, masked_language_task
from clseave.scenes import CELL
from clseave.schema import STEPS_PER_LINE
from clseave.storage import write_csv
from clseave.training import Curve, make_optimiser, train
from clseave.vocabulary import bert_tokenizer, clip_tokenizer

KEYS = ("source", "backbones")
IMAGE_SIZE = 2 * CELL


def read_texts(folder: Path, languages: tuple[str, ...]) -> list[str]:
    """All lines of the monolingual texts."""
    return [line for code in languages for line in (folder / f"{code}.txt").read_text(encoding="utf-8").splitlines()]


def train_clip(source: schema.Scenes, backbones: schema.Backbones, text: Path, out: Path) -> Curve:
    """Contrastive pre-training; English sentences only widen the vocabulary."""
    settings = backbones.clip
    captions = [line for lines, _ in caption_batches(source, 20, settings.batch_size, backbones.seed) for line in lines]
    tokenizer = clip_tokenizer(captions + read_texts(text, ("en",)), settings.vocabulary, settings.max_tokens)
    numerics.start_torch(backbones.seed, "cpu")
    model = build_clip(settings, tokenizer, IMAGE_SIZE)
    pairs = caption_batches(source, settings.steps, settings.batch_size, backbones.seed)
    task = contrastive_task(model, tokenizer, pairs, settings.batch_size)
    optimiser, schedule = make_optimiser(
        [{"params": model.parameters(), "lr": settings.lr}],
        settings.weight_decay,
        settings.steps,
        settings.warmup,
        "linear",
    )
    train(task, optimiser, schedule, settings.steps // STEPS_PER_LINE)
    model.save_pretrained(out)
    tokenizer.save_pretrained(out)
    processor(IMAGE_SIZE).save_pretrained(out)
    return task.curve


def train_mbert(backbones: schema.Backbones, text: Path, out: Path) -> Curve:
    """Masked language modelling on the six texts together."""
    settings = backbones.mbert
    texts = read_texts(text, LANGUAGES)
    tokenizer = bert_tokenizer(texts, settings.vocabulary, settings.max_tokens)
    numerics.start_torch(backbones.seed, "cpu")
    model = build_mbert(settings, tokenizer)
    task = masked_language_task(model, tokenizer, texts, settings, backbones.seed)
    optimiser, schedule = make_optimiser(
        [{"params": model.parameters(), "lr": settings.lr}],
        settings.weight_decay,
        settings.steps,
        settings.warmup,
        "linear",
    )
    train(task, optimiser, schedule, settings.steps // STEPS_PER_LINE)
    model.save_pretrained(out)
    tokenizer.save_pretrained(out)
    return task.curve


def main(argv: list[str] | None = None) -> None:
    """Train and save the backbone that `--backbone` names."""
    args = cli.parse(argv, __doc__, ["params", "profile", "text", "out", "curve"], names=["backbone"])
    settings = params.load(args.params, args.profile, KEYS)
    match args.backbone:
        case "clip":
            curve = train_clip(settings.source, settings.backbones, args.text, args.out)
        case "mbert":
            curve = train_mbert(settings.backbones, args.text, args.out)
        case other:
            raise ValueError(f"no backbone {other!r}: clip or mbert")
    write_csv(
        args.curve,
        [
            {"step": row["epoch"] * STEPS_PER_LINE, "loss": row["train_loss"], "learning_rate": row["learning_rate"]}
            for row in curve
        ],
    )
