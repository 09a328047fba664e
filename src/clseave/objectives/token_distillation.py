"""CLTEAVE's objective: the student's state of an aligned word approximates the teacher's state of the English word."""

import numpy as np
import torch

from clseave.foundation.process import distributed
from clseave.foundation.process.resume import Checkpoint
from clseave.foundation.settings.schema import Clteave, Sampler
from clseave.models.token_student import TokenStudent
from clseave.models.tokens import pad
from clseave.models.towers import AnyTextTower
from clseave.training.batching import draw_batches
from clseave.training.loop import Curve, train
from clseave.training.objective import Objective
from clseave.training.optimiser import make_optimiser
from clseave.training.used_embeddings import keep_used_rows, restore_embedding
from clseave.word_alignment.token_pairs import TokenPairs, gather


class TokenDistillation(Objective):
    """Mean squared error per element between encoded student states and teacher states of aligned words.

    With e the autoencoder's encoder, s_k mBERT's last state at the first sub-word of the k-th aligned word, and t_k the
    text tower's last state, before its final norm and projection, at the first sub-word of its English partner, over
    the P word pairs of a batch and the W elements of a teacher state (with `settings.targets` "projected", t_k is the
    state after norm and projection; with `settings.terminal_pair`, the end tokens of both sentences are a pair too):

        loss = 1/(P W) sum_k sum_w (e(s_k)_w - t_kw)^2

    Shapes:
        batch: row numbers of `data`, (B,) -> encoded student states (P, W), teacher states (P, W), loss ().

    Args:
        student: mBERT and the autoencoder, whose encoder is trained with it.
        teacher: CLIP-VE's text tower, frozen and in evaluation mode.
        data: sentence pairs with the token positions of their aligned words.
        settings: `batch_size`, `targets`.
        sampler: how batches are drawn.
        seed: decides the batches, together with the epoch.

    Returns:
        No validation: the number of epochs is fixed, and the last model is kept.

    Source:
        Thesis 3.2.1, Figure 3.4. Karoui et al. 2023, Stop Pre-Training: Adapt Visual-Language Models to Unseen
        Languages.
    """

    name = "CLTEAVE"

    def __init__(
        self,
        student: TokenStudent,
        teacher: AnyTextTower,
        data: TokenPairs,
        settings: Clteave,
        *,
        sampler: Sampler,
        seed: int,
    ):
        self.model = self.student = student
        self.teacher, self.data, self.settings, self.sampler, self.seed = teacher, data, settings, sampler, seed
        self.device = next(student.parameters()).device
        self.lengths = np.maximum(data.source.lengths, data.target.lengths)  # tokens of the longer side, (N,)

    def batches(self, epoch: int) -> list[np.ndarray]:
        """Return batches that contain every sentence pair once."""
        return draw_batches(self.lengths, self.settings.batch_size, self.sampler, [self.seed, epoch])

    def loss(self, batch: np.ndarray) -> torch.Tensor:
        """Return the mean squared error per element over all word pairs of a batch, (B,) -> ().

        Each process computes its share of the sentences.
        """
        rows = distributed.share(batch)
        words = int(self.data.target_positions.lengths[batch].sum())
        return distributed.squared_error(self.student_states(rows), self.teacher_states(rows), words)

    @torch.no_grad()
    def teacher_states(self, rows: np.ndarray) -> torch.Tensor:
        """Return the teacher's states of the P aligned English words of some rows, (B,) -> (P, W)."""
        inputs = pad([self.data.source[row] for row in rows], self.teacher.tokenizer, self.device)
        projected = self.settings.targets == "projected"
        states = (self.teacher.projected_states if projected else self.teacher.final_states)(*inputs)  # (B, S, W)
        return gather(states, [self.data.source_positions[row] for row in rows])

    def student_states(self, rows: np.ndarray) -> torch.Tensor:
        """Return the student's encoded states of the P aligned words of some rows, (B,) -> (P, W)."""
        inputs = pad([self.data.target[row] for row in rows], self.student.tokenizer, self.device)
        states = self.student.states(*inputs)  # (B, T, wide)
        return self.student.autoencoder.encoder(gather(states, [self.data.target_positions[row] for row in rows]))


def fit(objective: TokenDistillation, checkpoint: Checkpoint | None = None) -> Curve:
    """Train mBERT and the autoencoder's encoder for `settings.epochs`, and return the curve."""
    student, settings = objective.student, objective.settings
    words = keep_used_rows(student, [objective.data.target], student.tokenizer.pad_token_id)
    groups = [{"params": [*student.encoder.parameters(), *student.autoencoder.encoder.parameters()], "lr": settings.lr}]
    steps = settings.epochs * len(objective.batches(1))
    optimiser, schedule = make_optimiser(groups, settings.weight_decay, steps, 0.0, "constant")
    words.track_weight_decay(optimiser)
    curve, _ = train(objective, optimiser, schedule, settings.epochs, checkpoint=checkpoint)
    restore_embedding(student)
    return curve
