"""CLIP's pre-training objective: its value and gradient by hand, on vectors of two numbers and on a small CLIP."""

from math import exp, log
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from small_backbones import CLIP
from tiny_models import clip_text
from torch import nn
from torch.nn import functional

from clseave.backbones.pretraining import build_clip
from clseave.corpora.images import prepare
from clseave.models.tokens import encode, pad
from clseave.objectives.contrastive import Contrastive

CAPTIONS = ["A red circle", "A blue square, an empty cell", "A yellow diamond"]
IMAGES = np.random.default_rng(0).integers(0, 256, size=(3, 32, 32, 3), dtype=np.uint8)


class Vectors(nn.Module):
    """The vectors of two captions, (5, 0) and (0, 2), and of two images, (3, 4) and (0, 7); scale ln 2."""

    def __init__(self):
        super().__init__()
        self.texts = nn.Parameter(torch.tensor([[5.0, 0.0], [0.0, 2.0]]))
        self.images = nn.Parameter(torch.tensor([[3.0, 4.0], [0.0, 7.0]]))
        self.logit_scale = nn.Parameter(torch.tensor(log(2)))

    def get_text_features(self, input_ids, attention_mask):
        return SimpleNamespace(pooler_output=self.texts)

    def get_image_features(self, pixel_values):
        return SimpleNamespace(pooler_output=self.images)


def make(model, captions=2, times=1):
    pairs = iter([(CAPTIONS[:captions], IMAGES[:captions])] * times)
    return Contrastive(model, clip_text(), pairs, CLIP, np.random.default_rng(0))


# Unit vectors (1, 0), (0, 1) and (0.6, 0.8), (0, 1); logits: 2 [[0.6, 0], [0.8, 1]].
LOGITS = np.array([[1.2, 0.0], [1.6, 2.0]])


def test_the_loss_is_the_mean_of_both_directions():
    # -ln softmax of two logits at the first: ln(1 + e^(second - first)). Caption 0: 0 - 1.2; caption 1: 1.6 - 2;
    # image 0: 1.6 - 1.2; image 1: 0 - 2. ln(1.3012) + ln(1.6703) + ln(2.4918) + ln(1.1353)
    # = 1.81624; a quarter: 0.45406.
    wanted = sum(log(1 + exp(difference)) for difference in (-1.2, -0.4, 0.4, -2.0)) / 4
    assert wanted == pytest.approx(0.45406, abs=1e-5)
    assert make(Vectors()).loss(np.arange(2)).item() == pytest.approx(wanted, abs=1e-6)


def test_the_gradient_of_the_loss():
    model = Vectors()
    make(model).loss(np.arange(2)).backward()
    # Of the logits: (softmax over images + softmax over captions - 2 one-hot) / 4.
    odds = np.exp(LOGITS)
    slope = (odds / odds.sum(1, keepdims=True) + odds / odds.sum(0) - 2 * np.eye(2)) / 4
    # Of the scale: each logit times its slope. Of u_i: 2 sum_j slope_ij v_j; of the caption: without its part along
    # u_i, divided by its length. Caption 0 is (5, 0): what is left is the second coordinate, a fifth of it.
    assert model.logit_scale.grad.item() == pytest.approx((slope * LOGITS).sum(), abs=1e-6)
    second = 2 * (slope[0] @ [0.8, 1.0]) / 5
    assert model.texts.grad[0].tolist() == pytest.approx([0, second], abs=1e-6)
    # Image 1 is (0, 7): what is left is the first coordinate, a seventh of it.
    assert model.images.grad[1].tolist() == pytest.approx([2 * slope[0, 1] / 7, 0], abs=1e-6)


def test_training_accuracy_counts_an_epoch_and_survives_a_checkpoint():
    objective = make(Vectors(), times=2)
    for _ in range(2):
        objective.loss(np.arange(2))
    state = objective.state_dict()
    # Image 0 is closer to caption 1 (1.6 > 1.2), image 1 to its own.
    assert objective.train_metrics() == {"train_accuracy": 0.5}
    assert objective.state_dict() == {"accuracy_sum": 0.0, "steps": 0}, "the next epoch begins at zero"
    objective.load_state_dict(state)
    assert state["steps"] == 2 and objective.train_metrics() == {"train_accuracy": 0.5}


def test_there_is_no_validation_and_an_epoch_is_a_hundred_steps():
    objective = make(Vectors())
    assert objective.validate() == {} and [len(batch) for batch in objective.batches(1)] == [CLIP.batch_size] * 100
    assert objective.max_grad_norm == 1.0


def test_a_small_clip_by_hand():
    torch.manual_seed(0)
    model = build_clip(CLIP, clip_text(), 32).eval()
    ids, mask = pad(encode(clip_text(), CAPTIONS), clip_text())
    with torch.no_grad():
        text, vision = (
            functional.normalize(value.pooler_output, dim=-1)
            for value in (
                model.get_text_features(input_ids=ids, attention_mask=mask),
                model.get_image_features(prepare(IMAGES, 32)),
            )
        )
        logits = text @ vision.T * model.logit_scale.exp()
        wanted = 0.0
        for side in (logits, logits.T):
            wanted += sum(float(row.logsumexp(0) - row[number]) for number, row in enumerate(side)) / 3 / 2
        objective = make(model, captions=3)
        assert objective.loss(np.arange(3)).item() == pytest.approx(wanted, abs=1e-5)
    right = sum(int(column.argmax()) == number for number, column in enumerate(logits.T))
    assert objective.train_metrics() == {"train_accuracy": round(right / 3, 6)}


def test_twenty_steps_on_one_batch_lower_the_loss():
    torch.manual_seed(0)
    model = build_clip(CLIP, clip_text(), 32).train()
    objective = make(model, captions=3, times=20)
    optimiser = torch.optim.AdamW(model.parameters(), lr=1e-2)
    losses = []
    for _ in range(20):
        loss = objective.loss(np.arange(3))
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        losses.append(loss.item())
    assert losses[-1] < 0.8 * losses[0]
    assert all(
        value.grad is not None and value.grad.abs().sum() > 0
        for name, value in model.named_parameters()
        if name.endswith(("projection.weight", "token_embedding.weight", "patch_embedding.weight"))
    )
