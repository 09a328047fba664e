"""The five tasks of pre-training, each a loss of one batch (Fei, Yu and Li 2021, 3.2).

| task | batch | predicts |
|---|---|---|
| MLM | captions with images, and texts alone | masked words |
| MRC | captions with images | the classes of masked regions |
| TLM | parallel pairs | masked words of both, from both |
| CLTR | parallel pairs | all words of one, from the words of the other that they attend to |
| CMTR | captions with images | all words, from the regions that they attend to |

Predictions of words have one output layer, that of BERT's masked language model. Masking rates are not stated in the
paper: those of the settings are BERT's and VL-BERT's by default.

Of several processes each computes its share of the rows. What is masked is drawn for the whole batch, so that it is the
same as in one process, and means are over the whole batch.
"""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
import torch
from torch import nn
from torch.nn import functional

from clseave.foundation.process import distributed
from clseave.objectives.masked_language import IGNORED, mask_tokens
from clseave.single_stream.encoder import SingleStream, Texts
from clseave.single_stream.regions import Batch

Name = Literal["mlm", "mrc", "tlm", "cltr", "cmtr"]
NAMES: tuple[Name, ...] = get_args(Name)


@dataclass(frozen=True)
class Step:
    """One batch of each source: captions with their regions, texts alone, and parallel texts.

    Shapes: captions (B, T) and regions (B, R); alone (A, T); first (P, T), its translation second (P, S), and joined
    (P, T + S - 1), both in one sequence.
    """

    captions: Texts
    regions: Batch
    alone: Texts
    first: Texts
    second: Texts
    joined: Texts


class Task(nn.Module, ABC):
    """A task of pre-training; `name` stands in settings and curves."""

    name: str

    @abstractmethod
    def loss(self, encoder: SingleStream, step: Step, rng: np.random.Generator) -> torch.Tensor:
        """Return the loss of a batch, (); `rng` draws what is masked."""


def own_rows(count: int, device: torch.device) -> torch.Tensor:
    """Return the numbers of this process's rows of a batch, all of them in a single process."""
    return torch.from_numpy(distributed.share(np.arange(count))).to(device)


def mean_cross_entropy(logits: torch.Tensor, targets: torch.Tensor, count: int) -> torch.Tensor:
    """Return this process's share of the mean over the `count` predictions of the whole batch, (); see `distributed`.

    `logits` (N, C) are this process's, `targets` (N,) class numbers or (N, C) distributions.
    """
    return functional.cross_entropy(logits, targets, reduction="sum") / count * distributed.size()


class MaskedWords(Task):
    """MLM: cross-entropy between predicted and true words at masked positions, of captions with their image, and of
    texts alone.

    With the set M of chosen positions of a batch, the true token x_k and the logits z_k of the words' last states:

        loss = -1/|M| sum_{k in M} log softmax(z_k)[x_k]

    Shapes:
        captions (B, T) with regions (B, R), texts alone (A, T) -> the sum of two means, ().

    Args:
        share: of tokens that are predicted; BERT's is 15 %.

    Source:
        Devlin et al. 2019, BERT, 3.1; Fei et al. 2021, 3.2.1.
    """

    name = "mlm"

    def __init__(self, share: float):
        super().__init__()
        self.share = share

    def loss(self, encoder: SingleStream, step: Step, rng: np.random.Generator) -> torch.Tensor:
        """Mask words and return the mean cross-entropy of captions plus that of texts alone."""
        return self.masked(encoder, step.captions, step.regions, rng) + self.masked(encoder, step.alone, None, rng)

    def masked(
        self, encoder: SingleStream, texts: Texts, regions: Batch | None, rng: np.random.Generator
    ) -> torch.Tensor:
        """Return the loss of texts, with regions or alone."""
        device = texts.ids.device
        masked = mask_tokens(texts.ids.cpu(), encoder.tokenizer, self.share, rng)
        inputs, labels = (part.to(device) for part in masked)
        rows, count = own_rows(len(texts), device), int((labels != IGNORED).sum())
        states = encoder(texts.with_ids(inputs)[rows], None if regions is None else regions[rows])
        labels = labels[rows]
        chosen = labels != IGNORED
        logits = encoder.predict_words(states[:, : labels.shape[1]][chosen])
        return mean_cross_entropy(logits, labels[chosen], count)


class TranslatedMaskedWords(MaskedWords):
    """TLM: as `MaskedWords`, over both texts of a parallel pair in one sequence.

    Shapes:
        joined texts (P, T) -> ().

    Source:
        Conneau and Lample 2019, Cross-lingual Language Model Pretraining, 3.4; Fei et al. 2021, 3.2.1.
    """

    name = "tlm"

    def loss(self, encoder: SingleStream, step: Step, rng: np.random.Generator) -> torch.Tensor:
        """Mask words of both texts and return their mean cross-entropy."""
        return self.masked(encoder, step.joined, None, rng)


class MaskedRegions(Task):
    """MRC: cross-entropy between the predicted classes of masked regions and the detector's.

    With the set M of chosen regions, whose features are set to zero, the detector's distribution c_k, and the logits
    z_k of the regions' last states:

        loss = -1/|M| sum_{k in M} sum_j c_kj log softmax(z_k)[j]

    At least one region of a batch is chosen.

    Shapes:
        captions (B, T), regions (B, R) -> ().

    Args:
        share: of regions that are predicted; VL-BERT's is 15 %.
        width: size of the encoder's states.
        classes: number of classes.

    Source:
        Su et al. 2020, VL-BERT, 3.3; Fei et al. 2021, 3.2.1.
    """

    name = "mrc"

    def __init__(self, share: float, width: int, classes: int):
        super().__init__()
        self.share, self.classify = share, nn.Linear(width, classes)

    def loss(self, encoder: SingleStream, step: Step, rng: np.random.Generator) -> torch.Tensor:
        """Mask regions and return the mean cross-entropy of their classes."""
        there = step.regions.mask.bool()
        draw = torch.from_numpy(rng.random(tuple(there.shape))).to(there.device).masked_fill(~there, 1.0)
        chosen = ((draw < self.share) | (draw == draw.min())) & there
        features = step.regions.features.masked_fill(chosen.unsqueeze(-1), 0.0)
        rows, count = own_rows(len(chosen), chosen.device), int(chosen.sum())
        states = encoder(step.captions[rows], step.regions.with_features(features)[rows])
        states, chosen = states[:, step.captions.ids.shape[1] :], chosen[rows]
        return mean_cross_entropy(self.classify(states[chosen]), step.regions.classes[rows][chosen], count)


class BilinearAttention(nn.Module):
    """For each word, the mean of what it attends to.

        A_ij = e_i' W b_j,   a_i = softmax(A_i),   out_i = tanh(sum_j a_ij b_j)

    Source: Fei et al. 2021, 3.2.2.
    """

    def __init__(self, width: int):
        super().__init__()
        self.weight = nn.Parameter(torch.randn(width, width) / width)

    def forward(self, words: torch.Tensor, others: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        """Attend, words e (B, T, W), others b (B, S, W) with mask (B, S) -> (B, T, W)."""
        scores = (words @ self.weight) @ others.transpose(1, 2)  # (B, T, S)
        shares = scores.masked_fill(~mask.bool().unsqueeze(1), float("-inf")).softmax(dim=-1)
        return torch.tanh(shares @ others)


class Recovery(Task):
    """The base of CLTR and CMTR: predict all words of a text from what they attend to in the other side.

    The attended states E^ = (e^_1, ..., e^_T) stand in for word embeddings; the logits z_i of the encoder's last states
    predict the true tokens x_i. Over the set M of all words of the batch, without [CLS], [SEP] and padding (Eq. 1):

        loss = -1/|M| sum_{i in M} log softmax(z_i)[x_i]

    """

    def __init__(self, width: int):
        super().__init__()
        self.attention = BilinearAttention(width)

    def recover(self, encoder: SingleStream, texts: Texts, others: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        """Return the loss of texts (B, T) that attend to `others` (B, S, W) with `mask` (B, S)."""
        special = torch.tensor(encoder.tokenizer.all_special_ids, device=texts.ids.device)
        wanted = ~torch.isin(texts.ids, special)
        rows, count = own_rows(len(texts), special.device), int(wanted.sum())
        texts, wanted = texts[rows], wanted[rows]
        attended = self.attention(encoder.embed_words(texts.ids), others[rows], mask[rows])
        logits = encoder.predict_words(encoder(texts, words=attended)[wanted])
        return mean_cross_entropy(logits, texts.ids[wanted], count)


class CrossLingualRecovery(Recovery):
    """CLTR: recover a text from its translation; the formula is that of `Recovery`.

    Shapes:
        first (P, T), second (P, S) -> ().

    Source:
        Huang et al. 2019, Unicoder, cross-lingual word recovery; Fei et al. 2021, 3.2.2.
    """

    name = "cltr"

    def loss(self, encoder: SingleStream, step: Step, rng: np.random.Generator) -> torch.Tensor:
        """Return the mean cross-entropy of all words of the first text."""
        return self.recover(encoder, step.first, encoder.embed_words(step.second.ids), step.second.mask)


class CrossModalRecovery(Recovery):
    """CMTR: recover a caption from the regions of its image; the formula is that of `Recovery`.

    Shapes:
        captions (B, T), regions (B, R) -> ().

    Source:
        Fei et al. 2021, 3.2.2.
    """

    name = "cmtr"

    def loss(self, encoder: SingleStream, step: Step, rng: np.random.Generator) -> torch.Tensor:
        """Return the mean cross-entropy of all words of the caption."""
        return self.recover(encoder, step.captions, encoder.embed_regions(step.regions), step.regions.mask)


def make_tasks(
    weights: Mapping[str, float], width: int, classes: int, *, word_share: float, region_share: float
) -> dict[str, Task]:
    """Return the tasks with a weight above zero, in a fixed order; `width` is the size of the encoder's states."""
    made: list[Task] = [MaskedWords(word_share), MaskedRegions(region_share, width, classes)]
    made += [TranslatedMaskedWords(word_share), CrossLingualRecovery(width), CrossModalRecovery(width)]
    return {task.name: task for task in made if weights.get(task.name, 0.0) > 0}
