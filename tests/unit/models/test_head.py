"""Features and head of the entailment classifier."""

import pytest
import torch
from torch import nn
from torch.nn import functional

from clseave.models.head import Head, fuse

H = torch.tensor([[1.0, -2, 0.5], [0, 3, -1]])
P = torch.tensor([[2.0, 1, 0.5], [4, -1, -3]])


def test_features_by_hand():
    assert fuse(H, P).tolist() == [
        [1, -2, 0.5, 2, 1, 0.5, 1, 3, 0, 2, -2, 0.25],
        [0, 3, -1, 4, -1, -3, 4, 4, 2, 0, -3, 3],
    ]


def test_names_and_shapes_of_the_weights():
    shapes = {name: tuple(value.shape) for name, value in Head(3, 5, 0.1).state_dict().items()}
    assert shapes == {
        "layers.0.weight": (12,),
        "layers.0.bias": (12,),
        "layers.0.running_mean": (12,),
        "layers.0.running_var": (12,),
        "layers.0.num_batches_tracked": (),
        "layers.2.weight": (5, 12),
        "layers.2.bias": (5,),
        "layers.4.weight": (5, 5),
        "layers.4.bias": (5,),
        "layers.6.weight": (5,),
        "layers.6.bias": (5,),
        "layers.6.running_mean": (5,),
        "layers.6.running_var": (5,),
        "layers.6.num_batches_tracked": (),
        "layers.8.weight": (3, 5),
        "layers.8.bias": (3,),
    }


def test_order_of_the_layers():
    assert [type(layer) for layer in Head(3, 5, 0.25).layers] == [
        nn.BatchNorm1d,
        nn.Dropout,
        nn.Linear,
        nn.ReLU,
        nn.Linear,
        nn.ReLU,
        nn.BatchNorm1d,
        nn.Dropout,
        nn.Linear,
    ]


def test_logits_in_evaluation_by_hand():
    torch.manual_seed(0)
    head = Head(3, 5, 0.5).eval()
    for layer in (head.layers[0], head.layers[6]):
        layer.running_mean.uniform_(-1, 1)
        layer.running_var.uniform_(0.5, 2)
    h, p = (value / value.pow(2).sum(1, keepdim=True).sqrt() for value in (H, P))
    value = torch.cat([h, p, (h - p).abs(), h * p], dim=1)
    value = (value - head.layers[0].running_mean) / (head.layers[0].running_var + 1e-5).sqrt()
    value = (value @ head.layers[2].weight.T + head.layers[2].bias).clamp(min=0)
    value = (value @ head.layers[4].weight.T + head.layers[4].bias).clamp(min=0)
    value = (value - head.layers[6].running_mean) / (head.layers[6].running_var + 1e-5).sqrt()
    value = value @ head.layers[8].weight.T + head.layers[8].bias
    assert torch.allclose(head(H, P), value, atol=1e-5)


def test_dropout_acts_after_the_normalisation_and_before_the_features():
    """A dropped coordinate is zero in every feature that holds it, and the others keep their normalised size."""
    head = Head(4, 5, 0.5).train()
    seen = []
    head.layers[0].register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
    torch.manual_seed(3)
    h, p = torch.rand(64, 4) + 0.5, torch.rand(64, 4) + 0.5
    head(h, p)
    dropped_h, dropped_p, gap, product = seen[0].split(4, dim=1)
    for dropped, whole in ((dropped_h, h), (dropped_p, p)):
        kept = dropped != 0
        assert 0.3 < kept.float().mean() < 0.7
        # Kept coordinates are those of the unit vector, doubled by dropout; a normalisation after it would change them.
        assert torch.allclose(dropped[kept], 2 * functional.normalize(whole, dim=1)[kept])
    assert torch.equal(gap, (dropped_h - dropped_p).abs()) and torch.equal(product, dropped_h * dropped_p)


def test_the_length_of_a_vector_does_not_matter():
    head = Head(3, 5, 0.1).eval()
    assert torch.allclose(head(H, P), head(7 * H, 0.1 * P), atol=1e-6)


def test_a_zero_vector_gives_finite_logits():
    assert torch.isfinite(Head(3, 5, 0.1).eval()(torch.zeros_like(H), P)).all()


def test_evaluation_is_deterministic_and_changes_no_buffer():
    head = Head(3, 5, 0.5).eval()
    before = {name: value.clone() for name, value in head.state_dict().items()}
    assert torch.equal(head(H, P), head(H, P))
    assert all(torch.equal(before[name], value) for name, value in head.state_dict().items())
    assert not any(module.training for module in head.modules())


def test_training_draws_other_dropout_each_time():
    head = Head(3, 50, 0.5).train()
    assert not torch.equal(head(H, P), head(H, P))


def test_every_weight_receives_a_gradient():
    head = Head(3, 8, 0.0).train()
    torch.manual_seed(1)
    functional.cross_entropy(head(torch.randn(16, 3), torch.randn(16, 3)), torch.arange(16) % 3).backward()
    assert all(
        value.grad is not None and value.grad.abs().sum() > 0
        for name, value in head.named_parameters()
        if name != "layers.4.bias"
    )


@pytest.mark.parametrize("rows", [1, 5])
def test_three_logits_a_row(rows):
    assert Head(2, 4, 0.0).eval()(torch.ones(rows, 2), torch.ones(rows, 2)).shape == (rows, 3)
