"""CLSEAVE with sentence-transformers: its `MSELoss` and Trainer on precomputed labels, as in its documentation.

The model is the same: mBERT, layer norm, the state of the last token (which is [SEP]), a linear map without bias. In
the Trainer only extras are turned off: reports, checkpoints, the progress bar, examples for a model card, and gradient
clipping. Single precision, as for the other contenders.
"""

from pathlib import Path
from typing import Any

import torch
from datasets import Dataset
from sentence_transformers import (
    SentenceTransformer,
    SentenceTransformerModelCardData,
    SentenceTransformerTrainer,
    SentenceTransformerTrainingArguments,
)
from sentence_transformers.base.sampler import DefaultBatchSampler
from sentence_transformers.sentence_transformer.losses import MSELoss
from sentence_transformers.sentence_transformer.modules import Dense, LayerNorm, Pooling, Transformer
from torch.utils.data import SequentialSampler


def make_model(mbert: Path, width: int, dropout: float, device: str) -> SentenceTransformer:
    """Return the student built from the library's modules; `width` is that of the teacher's vectors."""
    rates = {"hidden_dropout_prob": dropout, "attention_probs_dropout_prob": dropout}
    words = Transformer(str(mbert), config_kwargs=rates)
    size = words.get_embedding_dimension()
    pooling = Pooling(size, pooling_mode="lasttoken")
    layers = [words, pooling, LayerNorm(size), Dense(size, width, bias=False, activation_function=torch.nn.Identity())]
    return SentenceTransformer(
        modules=layers, device=device, model_card_data=SentenceTransformerModelCardData(generate_widget_examples=False)
    )


def as_given(dataset: Dataset, *, batch_size: int, drop_last: bool, **_: Any) -> DefaultBatchSampler:
    """Return batches in the order of the rows, which are shuffled already."""
    return DefaultBatchSampler(SequentialSampler(dataset), batch_size=batch_size, drop_last=drop_last)


def train(
    model: SentenceTransformer, texts: list[str], labels: list[list[float]], settings: Any, *, rate: float, epochs: int
) -> int:
    """Train on texts and the teacher's vectors of their English originals; return the number of steps.

    `settings` are CLSEAVE's.
    """
    rows = Dataset.from_dict({"text": texts, "label": labels})
    arguments = SentenceTransformerTrainingArguments(
        output_dir="trainer",
        num_train_epochs=epochs,
        per_device_train_batch_size=settings.batch_size,
        learning_rate=rate,
        weight_decay=settings.weight_decay,
        lr_scheduler_type=settings.schedule,
        warmup_steps=settings.warmup,
        max_grad_norm=0.0,
        use_cpu=model.device.type == "cpu",
        report_to="none",
        save_strategy="no",
        logging_strategy="no",
        disable_tqdm=True,
        batch_sampler=as_given,
        seed=0,
    )
    trainer = SentenceTransformerTrainer(model=model, args=arguments, train_dataset=rows, loss=MSELoss(model))
    return trainer.train().global_step
