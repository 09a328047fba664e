"""CLTEAVE's objective: the student's state of an aligned word equals the teacher's state of the English word."""

import numpy as np
import torch

from clseave.foundation.process import distributed
from clseave.foundation.settings.schema import Clteave, Sampler
from clseave.models.clip_ve import TextTower
from clseave.models.token_student import TokenStudent
from clseave.models.tokens import pad
from clseave.training.batching import draw_batches
from clseave.training.objective import Objective
from clseave.word_alignment.token_pairs import TokenPairs, gather


class TokenDistillation(Objective):
    """Mean squared error per element between encoded student states and teacher states of aligned words.

    With e the autoencoder's encoder, s_k mBERT's last state at the first sub-word of the k-th aligned word, and t_k the
    text tower's last state, before its final norm and projection, at the first sub-word of its English partner, over
    the P word pairs of a batch and the W elements of a teacher state:

        loss = 1/(P W) sum_k sum_w (e(s_k)_w - t_kw)^2

    Shapes:
        batch: row numbers of `data`, (B,) -> encoded student states (P, W), teacher states (P, W), loss ().

    Args:
        student: mBERT and the autoencoder, whose encoder is trained with it.
        teacher: CLIP-VE's text tower, frozen and in evaluation mode.
        data: sentence pairs with the token positions of their aligned words.
        settings: `batch_size`.
        sampler: how batches are drawn.
        seed: decides the batches, with the epoch.

    Returns:
        No validation: the epochs are a fixed number, and the last one counts.

    Source:
        Thesis 3.2.1, Figure 3.4. Karoui et al. 2023, Stop Pre-Training: Adapt Visual-Language Models to Unseen
        Languages.
    """

    name = "CLTEAVE"

    def __init__(
        self,
        student: TokenStudent,
        teacher: TextTower,
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
        """Every sentence pair once an epoch."""
        return draw_batches(self.lengths, self.settings.batch_size, self.sampler, [self.seed, epoch])

    def loss(self, batch: np.ndarray) -> torch.Tensor:
        """Mean squared error per element over all word pairs of a batch, (B,) -> ().

        Several processes each compute their share of the sentences.
        """
        data, rows = self.data, distributed.share(batch)
        source, target = [data.source[row] for row in rows], [data.target[row] for row in rows]
        with torch.no_grad():
            states = self.teacher.final_states(*pad(source, self.teacher.tokenizer, self.device))  # (B, S, W)
            teacher = gather(states, [data.source_positions[row] for row in rows])  # (P, W)
        states = self.student.states(*pad(target, self.student.tokenizer, self.device))  # (B, T, wide)
        student = gather(states, [data.target_positions[row] for row in rows])  # (P, wide)
        words = int(data.target_positions.lengths[batch].sum())
        return distributed.squared_error(self.student.autoencoder.encoder(student), teacher, words)
