"""Pre-training objective of the small CLIP: a caption is closer to its image than to the other images of the batch."""

from collections.abc import Iterator

import numpy as np
import torch
from torch.nn import functional
from transformers import CLIPModel, CLIPTokenizer

from clseave.corpora.images import prepare
from clseave.foundation.settings.schema import STEPS_PER_LINE, ClipBackbone
from clseave.models.tokens import encode, pad
from clseave.training.objective import Objective


class Contrastive(Objective):
    """CLIP's symmetric contrastive loss: all other captions and images of the batch are negatives.

    With unit vectors u_i of caption i and v_i of its image, the model's learnt scale c and z_ij = exp(c) u_i . v_j,
    over the B pairs of a batch:

        loss = -1/(2 B) sum_i (log softmax_j(z_ij)[i] + log softmax_j(z_ji)[i])

    Shapes:
        batch: (B,), ignored: the next pairs are drawn -> captions u (B, D), images v (B, D), logits z (B, B), loss ().

    Args:
        model: both towers, trained.
        tokenizer: the text tower's.
        pairs: batches of B captions and B images (B, H, H, 3), uint8.
        settings: `batch_size`.
        generator: the random generator of `pairs`.

    Returns:
        No validation: the number of steps is fixed, and the last model is kept.
        `train_metrics`: `train_accuracy`, the mean share of images whose closest caption is their own.

    Source:
        Radford et al. 2021, Learning Transferable Visual Models From Natural Language Supervision, Figure 3.
    """

    model: CLIPModel
    generator: np.random.Generator
    name = "CLIP"
    max_grad_norm = 1.0

    def __init__(
        self,
        model: CLIPModel,
        tokenizer: CLIPTokenizer,
        pairs: Iterator[tuple[list[str], np.ndarray]],
        settings: ClipBackbone,
        generator: np.random.Generator,
    ):
        self.model, self.tokenizer, self.pairs, self.settings = model, tokenizer, pairs, settings
        self.generator = generator
        self.accuracy_sum, self.steps = 0.0, 0  # of this epoch

    def batches(self, epoch: int) -> list[np.ndarray]:
        """Return `STEPS_PER_LINE` batches, which make one row of the curve."""
        return [np.arange(self.settings.batch_size)] * STEPS_PER_LINE

    def loss(self, batch: np.ndarray) -> torch.Tensor:
        """Return the mean cross-entropy in both directions of the next pairs, ()."""
        captions, images = next(self.pairs)
        ids, mask = pad(encode(self.tokenizer, captions), self.tokenizer)
        texts = self.model.get_text_features(input_ids=ids, attention_mask=mask).pooler_output  # (B, D)
        pictures = self.model.get_image_features(pixel_values=prepare(images, images.shape[1])).pooler_output
        logits, truth = contrastive_logits(self.model.logit_scale, texts, pictures), torch.arange(len(captions))
        self.accuracy_sum += float((logits.argmax(dim=0) == truth).float().mean())
        self.steps += 1
        return (functional.cross_entropy(logits, truth) + functional.cross_entropy(logits.T, truth)) / 2

    def train_metrics(self) -> dict[str, float]:
        """Return the mean accuracy of the epoch's steps, and start a new mean."""
        accuracy = round(self.accuracy_sum / self.steps, 6)
        self.accuracy_sum, self.steps = 0.0, 0
        return {"train_accuracy": accuracy}

    def state_dict(self) -> dict[str, float]:
        """Return the running sum and count of `train_metrics`, for a checkpoint."""
        return {"accuracy_sum": self.accuracy_sum, "steps": self.steps}

    def load_state_dict(self, state: dict[str, float]) -> None:
        """Restore the running sum and count."""
        self.accuracy_sum, self.steps = state["accuracy_sum"], int(state["steps"])


def contrastive_logits(scale: torch.Tensor, texts: torch.Tensor, images: torch.Tensor) -> torch.Tensor:
    """Return the cosine similarity of text and image vectors times exp(`scale`), two (B, D) -> (B, B).

    `CLIPModel.forward` normalises by a square root through `torch.pow`, which is approximate and differs between
    processors; `functional.normalize` does not.
    """
    texts, images = (functional.normalize(vectors, dim=-1) for vectors in (texts, images))
    return scale.exp() * texts @ images.T
