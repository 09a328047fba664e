"""What runs on a GPU in training, checked on the CPU: shapes, precision, compiled passes."""

import pytest
import torch
from tiny_models import ENGLISH, SENTENCES, bert, bert_text, clip_text, tower

from clseave.models.student import Student
from clseave.models.tokens import encode, pad
from clseave.training.acceleration import LENGTHS, PART, accelerate, fit, for_training

HOW = {"precision": "float32", "compiled": True, "rows": 8}


def make(kind):
    """A text encoder without dropout, and the inputs of a batch."""
    if kind == "tower":
        return tower().eval(), pad(encode(clip_text(), ENGLISH), clip_text())
    return Student(bert(), bert_text(), 8, kind).eval(), pad(encode(bert_text(), SENTENCES), bert_text())


KINDS = pytest.mark.parametrize("kind", ["tower", "sep", "mean", "cls"])


def test_the_cpu_runs_a_small_batch_as_it_is():
    encoder, inputs = make("tower")
    assert torch.equal(for_training(encoder, torch.device("cpu"), **HOW)(*inputs), encoder(*inputs))


@KINDS
def test_the_cpu_runs_a_large_batch_in_parts_of_like_length(kind):
    encoder, (ids, mask) = make(kind)
    rows, seen = torch.randperm(PART * len(ids)) % len(ids), []
    encoder.register_forward_pre_hook(lambda _, inputs: seen.append(tuple(inputs[0].shape)))
    vectors = for_training(encoder, torch.device("cpu"), **HOW)(ids[rows], mask[rows])
    assert seen == sorted((PART, length) for length in mask.sum(dim=1).tolist())
    vectors.square().sum().backward()
    ours = {name: weight.grad.clone() for name, weight in encoder.named_parameters() if weight.grad is not None}
    encoder.zero_grad()
    whole = encoder(ids[rows], mask[rows])
    whole.square().sum().backward()
    torch.testing.assert_close(vectors, whole, rtol=1e-5, atol=5e-5)  # products of other sizes are rounded otherwise
    for name, weight in encoder.named_parameters():
        if name in ours:
            torch.testing.assert_close(ours[name], weight.grad, rtol=1e-3, atol=1e-3)


def test_a_batch_is_fitted_by_hand():
    ids, mask = fit(torch.tensor([[5, 6, 3], [5, 3, 0]]), torch.tensor([[1, 1, 1], [1, 1, 0]]), rows=3, longest=20)
    assert ids.tolist() == [[5, 6, 3, 3, 3, 3, 3, 3], [5, 3, 0, 0, 0, 0, 0, 0], [5, 6, 3, 3, 3, 3, 3, 3]]
    assert mask.tolist() == [[1, 1, 1, 0, 0, 0, 0, 0], [1, 1, 0, 0, 0, 0, 0, 0], [1, 1, 1, 0, 0, 0, 0, 0]]


@pytest.mark.parametrize("longest", [77, 512])
def test_all_lengths_fall_into_few_shapes(longest):
    shapes = set()
    for length in range(1, longest + 1):
        row = torch.ones(1, length, dtype=torch.long)
        ids, mask = fit(row, row, rows=4, longest=longest)
        assert ids.shape == mask.shape
        assert length <= ids.shape[1] <= min(longest, max(8, 2 * length))
        shapes.add(tuple(ids.shape))
    assert len(shapes) == sum(length < longest for length in LENGTHS) + 1


@KINDS
def test_compiled_vectors_are_the_encoders(kind):
    encoder, inputs = make(kind)
    # `fullgraph` fails where a pass is cut into parts, which no CUDA graph could hold.
    forward = accelerate(encoder, **HOW, backend="aot_eager", fullgraph=True)
    found, wanted = forward(*inputs), encoder(*inputs)
    assert found.shape == wanted.shape
    torch.testing.assert_close(found, wanted, rtol=1e-5, atol=1e-5)
    found.square().sum().backward()
    gradients = [one.grad.clone() for one in encoder.parameters() if one.grad is not None]
    encoder.zero_grad()
    wanted.square().sum().backward()
    for one, other in zip(gradients, [p.grad for p in encoder.parameters() if p.grad is not None], strict=True):
        torch.testing.assert_close(one, other, rtol=1e-3, atol=1e-4)


@KINDS
def test_half_the_digits_give_nearly_the_same_vectors(kind):
    encoder, inputs = make(kind)
    found = accelerate(encoder, "bfloat16", compiled=False, rows=8)(*inputs)
    wanted = encoder(*inputs)
    assert found.dtype == torch.float32
    assert not torch.equal(found, wanted)  # autocast was on
    assert (found - wanted).norm() / wanted.norm() < 0.03  # bfloat16 has 8 binary digits
    assert all(one.dtype == torch.float32 for one in encoder.parameters())
