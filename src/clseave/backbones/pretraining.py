"""The backbones of profile mini: a small contrastive CLIP, and a small BERT trained by masking in all languages.

Only the sizes and the corpus are small: the models are those of transformers, in Hugging Face layout.
"""

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

from clseave.foundation.process.resume import Checkpoint
from clseave.foundation.settings.schema import STEPS_PER_LINE, ClipBackbone, MbertBackbone, Tower
from clseave.training.loop import Curve, train
from clseave.training.objective import Objective
from clseave.training.optimiser import make_optimiser


def _shape(tower: Tower) -> dict[str, int]:
    """Return a tower's sizes by transformers' names; the inner layer is four times as wide, as in CLIP and BERT."""
    return {
        "hidden_size": tower.width,
        "intermediate_size": 4 * tower.width,
        "num_hidden_layers": tower.layers,
        "num_attention_heads": tower.heads,
    }


def build_clip(settings: ClipBackbone, tokenizer: CLIPTokenizer, image_size: int) -> CLIPModel:
    """Return a CLIP with random weights whose special ids are the tokenizer's."""
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
    """Return a BERT with random weights and a masked-language-model head."""
    return BertForMaskedLM._from_config(
        BertConfig(
            vocab_size=len(tokenizer),
            max_position_embeddings=settings.max_tokens,
            pad_token_id=tokenizer.pad_token_id,
            eos_token_id=tokenizer.sep_token_id,  # for the check of `tokens.checked_end`
            **_shape(settings.tower),
        ),
        attn_implementation="eager",
    )


def optimise(objective: Objective, settings: ClipBackbone | MbertBackbone, checkpoint: Checkpoint) -> Curve:
    """Train the objective's model and return its curve, with a row every `STEPS_PER_LINE` steps."""
    groups = [{"params": objective.model.parameters(), "lr": settings.lr}]
    optimiser, schedule = make_optimiser(groups, settings.weight_decay, settings.steps, settings.warmup, "linear")
    curve, _ = train(objective, optimiser, schedule, settings.steps // STEPS_PER_LINE, checkpoint=checkpoint)
    return curve
