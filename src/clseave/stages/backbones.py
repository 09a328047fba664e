"""Fetch one of the two backbones, CLIP and multilingual BERT or what takes their place, or train the miniature's.

Reads:  the hub, or pre-training texts; CLIP's scenes are rendered during training.
Writes: a model folder in Hugging Face layout, and a curve, without rows for a fetched model.
Thesis: 2.2 (the thesis downloads both).
Cost:   fetching: 600 and 714 MB, twice as much memory; training: about 4 minutes for CLIP, 2 for mBERT, 1 GiB each.
"""

from collections.abc import Callable
from pathlib import Path

import torch
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from clseave.backbones.pretraining import build_clip, build_mbert, optimise
from clseave.backbones.vocabulary import bert_tokenizer, clip_tokenizer
from clseave.corpora.images import load_processor, processor
from clseave.foundation.files.atomic import whole_folder
from clseave.foundation.files.formats import write_text
from clseave.foundation.process import cli, numerics
from clseave.foundation.process.resume import Checkpoint, begin
from clseave.foundation.rows import training_record
from clseave.foundation.settings import params, schema
from clseave.foundation.settings.schema import STEPS_PER_LINE, Backbones, Encoder, Scenes
from clseave.miniature.grammar import LANGUAGES
from clseave.miniature.scenes import CELL
from clseave.miniature.world import caption_batches, caption_draws
from clseave.models import hub
from clseave.models.loading import is_clip, load_dual_encoder, load_text_encoder
from clseave.models.tokens import checked_end, end_id, load_fitting, longest_text, set_policy
from clseave.models.towers import require_vectors
from clseave.objectives.contrastive import Contrastive
from clseave.objectives.masked_language import MaskedLanguage
from clseave.training.loop import Curve

IMAGE_SIZE = 2 * CELL


def read_texts(folder: Path, languages: tuple[str, ...]) -> list[str]:
    """Read all lines of the monolingual texts."""
    return [line for code in languages for line in (folder / f"{code}.txt").read_text(encoding="utf-8").splitlines()]


def train_clip(source: Scenes, backbones: Backbones, text: Path, out: Path, checkpoint: Checkpoint) -> Curve:
    """Train CLIP contrastively; the English sentences only extend the vocabulary."""
    settings = backbones.clip
    first = caption_batches(source, 20, settings.batch_size, caption_draws(backbones.seed))
    captions = [line for lines, _ in first for line in lines]
    tokenizer = clip_tokenizer(captions + read_texts(text, ("en",)), settings.vocabulary, settings.max_tokens)
    numerics.start_torch(backbones.seed, "cpu")
    model = build_clip(settings, tokenizer, IMAGE_SIZE)
    pairs = caption_batches(source, settings.steps, settings.batch_size, draws := caption_draws(backbones.seed))
    curve = optimise(Contrastive(model, tokenizer, pairs, settings, draws), settings, checkpoint)
    for part in (model, tokenizer, processor(IMAGE_SIZE)):
        part.save_pretrained(out)
    return curve


def train_mbert(backbones: Backbones, text: Path, out: Path, checkpoint: Checkpoint) -> Curve:
    """Train BERT by masked language modelling on the texts of all languages."""
    settings, texts = backbones.mbert, read_texts(text, LANGUAGES)
    tokenizer = bert_tokenizer(texts, settings.vocabulary, settings.max_tokens)
    numerics.start_torch(backbones.seed, "cpu")
    model = build_mbert(settings, tokenizer)
    curve = optimise(MaskedLanguage(model, tokenizer, texts, settings, backbones.seed), settings, checkpoint)
    for part in (model, tokenizer):
        part.save_pretrained(out)
    return curve


def fetch(
    load: Callable[..., PreTrainedModel], source: Encoder, key: str
) -> tuple[Path, PreTrainedModel, PreTrainedTokenizerBase]:
    """Fetch a model; return its folder, the model and its tokenizer. UserError when these two do not fit."""
    folder = hub.fetch(source, key=key)
    tokenizer = load_fitting(folder)
    model = load(folder, use_safetensors=source.weights == "safetensors", dtype=torch.float32)
    text = model.config.get_text_config()
    tokenizer.model_max_length, text.eos_token_id = longest_text(text), end_id(tokenizer)
    checked_end(tokenizer, text)
    set_policy(tokenizer, source.long_texts)
    return folder, model, tokenizer


def import_clip(source: Encoder, out: Path) -> Curve:
    """Save a dual encoder, with the tokenizer's special ids in its configuration: those on the hub are outdated."""
    folder, model, tokenizer = fetch(load_dual_encoder, source, "backbones.clip")
    text, vision = model.config.text_config, model.config.vision_config
    text.bos_token_id, text.pad_token_id = tokenizer.bos_token_id, tokenizer.pad_token_id
    if is_clip(folder):  # for towers that are loaded alone
        text.projection_dim = vision.projection_dim = model.config.projection_dim
    else:
        require_vectors(folder, model)
    for part in (load_processor(folder), model, tokenizer):
        part.save_pretrained(out)
    return []


def import_mbert(source: Encoder, out: Path) -> Curve:
    """Save the text encoder alone, with current names of weights (hub: `LayerNorm.gamma`)."""
    _, model, tokenizer = fetch(load_text_encoder, source, "backbones.mbert")
    model.save_pretrained(out, save_original_format=False)
    tokenizer.save_pretrained(out)
    return []


def main(argv: list[str] | None = None) -> None:
    """Fetch or train the backbone that `--backbone` names, and save it."""
    args = cli.parse(argv, __doc__, ["params", "profile", "text", "checkpoints", "out", "curve"], names=["backbone"])
    settings, name = params.load(args.params, args.profile, schema.Origins), args.backbone
    checkpoint = begin(args.checkpoints, __name__, {"text": args.text}, settings, backbone=name)
    with whole_folder(args.out) as folder:
        match name, settings.backbones, settings.source:
            case "clip", schema.Backbones() as made, schema.Scenes() as source:
                curve = train_clip(source, made, args.text, folder, checkpoint)
            case "mbert", schema.Backbones() as made, _:
                curve = train_mbert(made, args.text, folder, checkpoint)
            case "clip", schema.HubBackbones() as fetched, _:
                curve = import_clip(fetched.clip, folder)
            case "mbert", schema.HubBackbones() as fetched, _:
                curve = import_mbert(fetched.mbert, folder)
            case other, _, _:
                raise ValueError(f"no backbone {other!r}: clip or mbert")
        training_record.of_backbone(
            name, args.profile.stem, LANGUAGES, text=args.text, folder=folder, curve=curve, settings=settings
        ).write(folder)
    lines = [f"{row['epoch'] * STEPS_PER_LINE},{row['train_loss']},{row['learning_rate']}\n" for row in curve]
    write_text(args.curve, "".join(["step,loss,learning_rate\n", *lines]))
    checkpoint.remove()
