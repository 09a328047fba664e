"""The miniature's backbones: a small CLIP, contrastive on captions, and a small BERT, masked on six languages.

Only the shapes and the corpus are small: the models are transformers' own, in Hugging Face layout.
"""

from collections.abc import Iterator, Sequence

import numpy as np
import torch
from torch.nn import functional
from transformers import (
    BertConfig,
    BertForMaskedLM,
    BertTokenizer,
    CLIPConfig,
    CLIPModel,
    CLIPTextConfig,
    CLIPTokenizer,
    CLIPVisionConfig,
)

from clseave.images import prepare
from clseave.optimisation import make_optimiser
from clseave.resume import Checkpoint
from clseave.schema import STEPS_PER_LINE, ClipBackbone, MbertBackbone, Tower
from clseave.text import encode, pad
from clseave.training import Curve, Task, train

IGNORED = -100  # the label that transformers' masked language model leaves out of its loss


def _shape(tower: Tower) -> dict[str, int]:
    """A tower's shape by transformers' names; the inner layer is four times as wide, as in CLIP and BERT."""
    return {
        "hidden_size": tower.width,
        "intermediate_size": 4 * tower.width,
        "num_hidden_layers": tower.layers,
        "num_attention_heads": tower.heads,
    }


def build_clip(settings: ClipBackbone, tokenizer: CLIPTokenizer, image_size: int) -> CLIPModel:
    """A CLIP with random weights whose special ids are the tokenizer's."""
    text = CLIPTextConfig(
        vocab_size=len(tokenizer),
        max_position_embeddings=settings.max_tokens,
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
        projection_dim=settings.projection,
        **_shape(settings.text),
    )
    vision = CLIPVisionConfig(
        image_size=image_size, patch_size=settings.patch, projection_dim=settings.projection, **_shape(settings.vision)
    )
    return CLIPModel._from_config(
        CLIPConfig(text_config=text.to_dict(), vision_config=vision.to_dict(), projection_dim=settings.projection),
        attn_implementation="eager",
    )


def build_mbert(settings: MbertBackbone, tokenizer: BertTokenizer) -> BertForMaskedLM:
    """A BERT with random weights and a masked-language-model head."""
    return BertForMaskedLM._from_config(
        BertConfig(
            vocab_size=len(tokenizer),
            max_position_embeddings=settings.max_tokens,
            pad_token_id=tokenizer.pad_token_id,
            eos_token_id=tokenizer.sep_token_id,  # for the check of `text.checked_end`
            **_shape(settings.tower),
        ),
        attn_implementation="eager",
    )


def contrastive_logits(model: CLIPModel, texts: torch.Tensor, images: torch.Tensor) -> torch.Tensor:
    """Scaled cosine similarity of text and image vectors, two (B, D) -> (B, B).

    `CLIPModel.forward` normalises by a square root through `torch.pow`, which is approximate and differs between
    processors; `functional.normalize` does not.
    """
    texts, images = (functional.normalize(vectors, dim=-1) for vectors in (texts, images))
    return model.logit_scale.exp() * texts @ images.T


def contrastive_task(
    model: CLIPModel,
    tokenizer: CLIPTokenizer,
    pairs: Iterator[tuple[list[str], np.ndarray]],
    batch_size: int,
    draws: np.random.Generator | None = None,
) -> Task:
    """CLIP's symmetric contrastive loss; the other images of the batch are the negatives (Radford et al. 2021).

    `draws` is what `pairs` draws from, for a training that is to go on after a kill.
    """
    right: list[float] = []

    def step(_: np.ndarray) -> torch.Tensor:
        captions, images = next(pairs)
        ids, mask = pad(encode(tokenizer, captions), tokenizer)
        texts = model.get_text_features(input_ids=ids, attention_mask=mask).pooler_output
        pictures = model.get_image_features(pixel_values=prepare(images, images.shape[1])).pooler_output
        logits, truth = contrastive_logits(model, texts, pictures), torch.arange(len(captions))
        right.append(float((logits.argmax(dim=0) == truth).float().mean()))
        return (functional.cross_entropy(logits, truth) + functional.cross_entropy(logits.T, truth)) / 2

    def figures() -> dict[str, float]:
        accuracy = round(sum(right) / len(right), 6)
        right.clear()
        return {"train_accuracy": accuracy}

    return Task(
        "CLIP",
        model,
        lambda epoch: [np.arange(batch_size)] * STEPS_PER_LINE,
        step,
        clip=1.0,
        train_figures=figures,
        tally=right,
        draws=draws,
    )


def masked_language_task(
    model: BertForMaskedLM, tokenizer: BertTokenizer, texts: Sequence[str], settings: MbertBackbone, seed: int
) -> Task:
    """Masked language modelling (Devlin et al. 2019): of the chosen tokens 80 % masked, 10 % random, 10 % kept."""
    rows = encode(tokenizer, texts)
    rng = np.random.default_rng([seed, 6])

    def step(_: np.ndarray) -> torch.Tensor:
        chosen = rng.integers(0, len(rows), size=settings.batch_size)
        ids, mask = pad([rows[row] for row in chosen], tokenizer)
        inputs, labels = mask_tokens(ids, tokenizer, settings.mask, rng)
        return model(input_ids=inputs, attention_mask=mask, labels=labels).loss

    batches = [np.arange(settings.batch_size)] * STEPS_PER_LINE
    return Task("mBERT", model, lambda epoch: batches, step, clip=1.0, draws=rng)


def optimise(task: Task, settings: ClipBackbone | MbertBackbone, checkpoint: Checkpoint) -> Curve:
    """Train the task's model; a row of the curve every `STEPS_PER_LINE` steps."""
    groups = [{"params": task.module.parameters(), "lr": settings.lr}]
    optimiser, schedule = make_optimiser(groups, settings.weight_decay, settings.steps, settings.warmup, "linear")
    train(task, optimiser, schedule, settings.steps // STEPS_PER_LINE, checkpoint=checkpoint)
    return task.curve


def mask_tokens(
    ids: torch.Tensor, tokenizer: BertTokenizer, share: float, rng: np.random.Generator
) -> tuple[torch.Tensor, torch.Tensor]:
    """Masked inputs and labels, both (B, T); labels are `IGNORED` where nothing is to be guessed.

    At least one token is to be guessed: the mean loss of none would be nan.
    """
    special = torch.isin(ids, torch.tensor(tokenizer.all_special_ids))
    draw, fate = (torch.from_numpy(rng.random(ids.shape)) for _ in range(2))
    least = draw.masked_fill(special, 1.0).min()
    chosen = ((draw < share) | (draw == least)) & ~special
    inputs = torch.where(chosen & (fate < 0.8), tokenizer.mask_token_id, ids)
    noise = torch.from_numpy(rng.integers(len(tokenizer.all_special_ids), len(tokenizer), size=ids.shape))
    inputs = torch.where(chosen & (fate >= 0.9), noise, inputs)
    return inputs, torch.where(chosen, ids, IGNORED)
