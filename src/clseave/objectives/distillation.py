"""CLSEAVE's objective: the student's vector of a translation approximates the teacher's vector of the English text."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch.nn import functional
from transformers import PreTrainedTokenizerBase

from clseave.foundation.process import distributed
from clseave.foundation.process.resume import Checkpoint
from clseave.foundation.rows.records import Translation, distinct_hypotheses, iter_rows, read_splits, require, rows_of
from clseave.foundation.rows.vectors import VectorTable
from clseave.foundation.settings.schema import Clseave, Precision, Sampler, StudentLoss
from clseave.models.student import Student
from clseave.models.tokens import Ragged, encode, in_order, pad
from clseave.training.acceleration import Forward, for_training
from clseave.training.adapters import merge_adapters
from clseave.training.batching import draw_batches
from clseave.training.loop import Curve, train
from clseave.training.objective import Objective
from clseave.training.optimiser import make_optimiser
from clseave.training.used_embeddings import keep_used_rows, restore_embedding


@dataclass(frozen=True)
class Pairs:
    """N texts as token ids, each with the row of the teacher's vector of its English sentence."""

    tokens: Ragged  # token ids of the N translations
    teacher: VectorTable  # of all splits
    rows: np.ndarray  # (N,) row in `teacher`

    @classmethod
    def read(
        cls, examples: Path, translations: Path, split: str, tokenizer: PreTrainedTokenizerBase, teacher: VectorTable
    ) -> "Pairs":
        """Read a pair for each distinct hypothesis of a split. UserError when a translation or a vector is missing."""
        ids = list(distinct_hypotheses(read_splits(examples, [split])))
        wanted = set(ids)
        texts = {
            row.hypothesis_id: row.text for row in iter_rows(translations, Translation) if row.hypothesis_id in wanted
        }
        require(ids, texts, f"translation in {translations}")
        return cls.of([(key, texts[key]) for key in ids], tokenizer, teacher)

    @classmethod
    def of(cls, texts: Sequence[tuple[str, str]], tokenizer: PreTrainedTokenizerBase, teacher: VectorTable) -> "Pairs":
        """Return a pair for each (hypothesis id, text), in order. UserError when a vector is missing."""
        rows = rows_of((key for key, _ in texts), teacher.rows, "teacher vector")
        return cls(encode(tokenizer, [text for _, text in texts]), teacher, rows)

    def joined(self, other: "Pairs") -> "Pairs":
        """Return these pairs followed by `other`, which must have the same teacher."""
        tokens = Ragged.joined([self.tokens, other.tokens])
        return Pairs(tokens, self.teacher, np.concatenate([self.rows, other.rows]))


class Distillation(Objective):
    """Mean squared error per element between student and teacher vectors.

    With s_i the student's vector of translation i and t_i the teacher's stored vector of its English sentence, over the
    B pairs of a batch and the D elements of a vector:

        loss = 1/(B D) sum_i sum_d (s_id - t_id)^2

    With `settings.loss` "normalised", s_i / |s_i| and t_i / |t_i| replace s_i and t_i.

    Shapes:
        batch: row numbers of `data`, (B,) -> student s (B, D), teacher t (B, D), loss ().

    Args:
        student: the trained model, (B, T) ids and mask -> (B, D).
        data: training pairs.
        dev: validation pairs.
        settings: `loss` and `batch_size`.
        sampler: how batches are drawn.
        encode_batch: batch size of validation.
        precision: of the student's forward passes in training, on a GPU.
        compiled: whether these passes are compiled, on a GPU.
        seed: decides the batches, together with the epoch.

    Returns:
        `validate`: `dev_mse`, the same loss, which is minimised; `dev_mae`, the mean absolute error per element;
        `dev_cosine`, the mean cosine of student and teacher vectors.

    Source:
        Thesis 3.3, which uses raw vectors. Reimers and Gurevych 2020, Making Monolingual Sentence Embeddings
        Multilingual using Knowledge Distillation, without their second term for the English sentence.
    """

    name = "CLSEAVE"
    loss_name = "train_mse"

    def __init__(
        self,
        student: Student,
        data: Pairs,
        dev: Pairs,
        settings: Clseave,
        *,
        sampler: Sampler,
        encode_batch: int,
        precision: Precision,
        compiled: bool,
        seed: int,
    ):
        self.model = self.student = student
        self.data, self.dev, self.settings = data, dev, settings
        self.sampler, self.encode_batch, self.seed = sampler, encode_batch, seed
        device, rows = data.teacher.device, settings.batch_size + 1  # batches differ by one
        self.forward = for_training(student, device, precision=precision, compiled=compiled, rows=rows)

    def batches(self, epoch: int) -> list[np.ndarray]:
        """Return batches that contain every pair once."""
        return draw_batches(self.data.tokens.lengths, self.settings.batch_size, self.sampler, [self.seed, epoch])

    def loss(self, batch: np.ndarray) -> torch.Tensor:
        """Return the mean squared error per element of a batch, (B,) -> (). Each process computes its share of rows."""
        rows = distributed.share(batch)
        student = self.student_vectors(self.data, rows, self.forward)
        return distributed.squared_error(student, self.teacher_vectors(self.data, rows), len(batch))

    def validate(self) -> dict[str, float]:
        """Return errors and cosine over all validation pairs."""
        dev, parts = self.dev, in_order(len(self.dev.tokens), self.encode_batch)
        student = torch.cat([self.student_vectors(dev, rows, self.student) for rows in parts])  # (N, D)
        teacher = self.teacher_vectors(dev, np.arange(len(dev.tokens)))
        return {
            "dev_mse": functional.mse_loss(student, teacher).item(),
            "dev_mae": functional.l1_loss(student, teacher).item(),
            "dev_cosine": functional.cosine_similarity(student, teacher).mean().item(),
        }

    def student_vectors(self, pairs: Pairs, rows: np.ndarray, forward: Forward) -> torch.Tensor:
        """Return the student's vectors of translations, (B,) -> (B, D)."""
        tokens = [pairs.tokens[row] for row in rows]
        return self.scaled(forward(*pad(tokens, self.student.tokenizer, pairs.teacher.device)))

    def teacher_vectors(self, pairs: Pairs, rows: np.ndarray) -> torch.Tensor:
        """Return the teacher's vectors of the English sentences, (B,) -> (B, D)."""
        return self.scaled(pairs.teacher[pairs.rows[rows]])

    def scaled(self, vectors: torch.Tensor) -> torch.Tensor:
        """Return the vectors to compare, (B, D) -> (B, D): unit vectors for losses of directions."""
        directions = self.settings.loss in ("normalised", "infonce")
        return functional.normalize(vectors, dim=-1) if directions else vectors


class ContrastiveDistillation(Distillation):
    """InfoNCE: the student's vector is closer to its teacher vector than to those of the batch's other sentences.

    With the student's unit vector u_i = s_i / |s_i| of translation i, the teacher's unit vectors v_j = t_j / |t_j|, a
    temperature tau, and J_i the pairs of the batch whose teacher vector differs from t_i, over the batch's B pairs:

        loss = -1/B sum_i log [ exp(u_i . v_i / tau) / (exp(u_i . v_i / tau) + sum_{j in J_i} exp(u_i . v_j / tau)) ]

    With `settings.loss` "raw+infonce" this loss, times `settings.infonce_weight`, is added to the mean squared error of
    `Distillation`.

    Shapes, arguments and returns are as in `Distillation`; `settings.temperature` is tau. ValueError when several
    processes share the batches, since each would see only some of the negatives.

    Source:
        Oord et al. 2018, Representation Learning with Contrastive Predictive Coding (InfoNCE). Chi et al. 2021,
        InfoXLM, contrasts a sentence with its translation in this way.
    """

    def __init__(self, *args: Any, **kwargs: Any):
        """Take the arguments of `Distillation`."""
        super().__init__(*args, **kwargs)
        if distributed.size() > 1:
            raise ValueError("the loss `infonce` needs all of a batch in one process")
        self.with_error = self.settings.loss == "raw+infonce"
        self.loss_name = "train_loss" if self.with_error else "train_infonce"

    def loss(self, batch: np.ndarray) -> torch.Tensor:
        """Return the mean loss of a batch, (B,) -> ()."""
        student = self.student_vectors(self.data, batch, self.forward)
        teacher = self.teacher_vectors(self.data, batch)
        contrast = infonce(student, teacher, self.settings.temperature)
        if not self.with_error:
            return contrast
        return functional.mse_loss(student, teacher) + self.settings.infonce_weight * contrast


def infonce(student: torch.Tensor, teacher: torch.Tensor, temperature: float) -> torch.Tensor:
    """Return the mean InfoNCE loss of student vectors and their teacher vectors, two (B, D) -> ().

    Pairs with equal teacher vectors, which belong to the same sentence, are not negatives of each other.
    """
    scores = functional.normalize(student, dim=-1) @ functional.normalize(teacher, dim=-1).T / temperature  # (B, B)
    same = (teacher[:, None] == teacher[None]).all(-1)  # (B, B)
    same.fill_diagonal_(False)
    return functional.cross_entropy(
        scores.masked_fill(same, -torch.inf), torch.arange(len(scores), device=scores.device)
    )


LOSSES: dict[StudentLoss, type[Distillation]] = {
    "raw": Distillation,
    "normalised": Distillation,
    "infonce": ContrastiveDistillation,
    "raw+infonce": ContrastiveDistillation,
}


def optimiser_for(objective: Distillation, lr: float) -> tuple[torch.optim.AdamW, torch.optim.lr_scheduler.LambdaLR]:
    """Return optimiser and schedule over all epochs, with the learning rate `lr` times `settings.lr_scale`.

    It restricts the student to the word-embedding rows that occur; `used_embeddings.restore_embedding` undoes this.
    """
    student, settings = objective.student, objective.settings
    texts = [objective.data.tokens, objective.dev.tokens]
    words = keep_used_rows(student, texts, student.tokenizer.pad_token_id)
    steps = settings.epochs * len(objective.batches(1))
    groups = [{"params": student.parameters(), "lr": lr * settings.lr_scale}]
    optimiser, schedule = make_optimiser(groups, settings.weight_decay, steps, settings.warmup, settings.schedule)
    words.track_weight_decay(optimiser)
    return optimiser, schedule


def fit(objective: Distillation, lr: float, checkpoint: Checkpoint | None = None) -> tuple[Curve, int]:
    """Train the student and leave it in the state of the kept epoch. Return the curve and this epoch, from 1."""
    settings, (optimiser, schedule) = objective.settings, optimiser_for(objective, lr)
    epochs, patience, keep, stop = settings.epochs, settings.patience, settings.keep, settings.stop_after
    curve, kept = train(
        objective, optimiser, schedule, epochs, patience, keep=keep, stop_after=stop, checkpoint=checkpoint
    )
    restore_embedding(objective.student)
    merge_adapters(objective.student.encoder)
    return curve, kept
