"""Training only the rows that occur: the same as training the whole word embedding, for both kinds of text encoder."""

import copy

import numpy as np
import pytest
import torch
from made_up import MadeUp
from tiny_models import ENGLISH, SENTENCES, bert, bert_text, clip_text, tower
from torch.nn import functional

from clseave.foundation.process.resume import Checkpoint
from clseave.models.student import Student
from clseave.models.tokens import Ragged, encode, pad
from clseave.training.loop import train
from clseave.training.optimiser import make_optimiser
from clseave.training.used_embeddings import UsedRowsEmbedding, keep_used_rows, restore_embedding

STEPS, WIDTH = 15, 8  # an epoch
ENCODERS = pytest.mark.parametrize("kind", ["student", "tower"])


def make(kind):
    """A text encoder, and token rows of few of its words."""
    if kind == "tower":
        return tower(), encode(clip_text(), ENGLISH)
    return Student(bert(hidden_dropout_prob=0.0, attention_probs_dropout_prob=0.0), bert_text(), WIDTH, "sep"), encode(
        bert_text(), SENTENCES
    )


def embedding(encoder):
    return (encoder.model if hasattr(encoder, "model") else encoder.encoder).get_input_embeddings()


def fit(kind, *, compact, weight_decay, epochs=4, scores=(4.0, 2.0, 3.0, 2.5), checkpoint=None):
    """Weights after training towards fixed vectors, the embedding whole again."""
    encoder, rows = make(kind)
    words = keep_used_rows(encoder, [rows], encoder.tokenizer.pad_token_id) if compact else None
    torch.manual_seed(1)
    targets = torch.randn(len(rows), encoder.width)

    def step(chosen):
        vectors = encoder(*pad([rows[row] for row in chosen], encoder.tokenizer))
        return functional.mse_loss(vectors, targets[torch.from_numpy(chosen)])

    def batches(epoch):
        rng = np.random.default_rng(epoch)
        return [rng.permutation(len(rows))[:3] for _ in range(STEPS)]

    objective = MadeUp("fit", encoder, batches, step, lambda: {"dev": scores[objective.epoch - 1]})
    groups = [{"params": encoder.parameters(), "lr": 0.01}]
    optimiser, schedule = make_optimiser(groups, weight_decay, 4 * STEPS, 0.1, "linear")
    if words:
        words.track_weight_decay(optimiser)
    curve, _ = train(objective, optimiser, schedule, epochs, checkpoint=checkpoint)
    if words:
        restore_embedding(encoder)
    return encoder, curve, np.unique(np.append(rows.values, encoder.tokenizer.pad_token_id))


@ENCODERS
def test_without_decay_every_weight_is_the_same(kind):
    dense, curve, _ = fit(kind, compact=False, weight_decay=0.0)
    compact, ours, _ = fit(kind, compact=True, weight_decay=0.0)
    assert ours == curve
    for (name, wanted), (other, found) in zip(dense.state_dict().items(), compact.state_dict().items(), strict=True):
        assert name == other
        torch.testing.assert_close(found, wanted, rtol=1e-6, atol=1e-7)


@ENCODERS
def test_decay_reaches_the_rows_that_never_occur(kind):
    before = embedding(make(kind)[0]).weight.detach().clone()
    dense, _, used = fit(kind, compact=False, weight_decay=0.3)
    compact, _, _ = fit(kind, compact=True, weight_decay=0.3)
    wanted, found = embedding(dense).weight, embedding(compact).weight
    unused = np.setdiff1d(np.arange(len(before)), used)
    assert 0 < len(used) < len(unused)
    torch.testing.assert_close(found, wanted, rtol=1e-5, atol=1e-8)
    # By hand: the second of four epochs is kept, after 30 of 60 steps; warm-up over 6, then down to zero.
    factors = [(step + 1) / 6 if step < 6 else (60 - step) / 54 for step in range(2 * STEPS)]
    decay = np.prod([1 - 0.01 * factor * 0.3 for factor in factors])
    assert decay < 0.95
    torch.testing.assert_close(found[unused], before[unused] * decay, rtol=1e-6, atol=0)


def test_a_row_without_gradient_does_not_decay():
    # AdamW passes over weights without a gradient, as in the control that never runs its text tower.
    encoder, rows = make("tower")
    words = keep_used_rows(encoder, [rows], encoder.tokenizer.pad_token_id)
    optimiser, _ = make_optimiser([{"params": encoder.parameters(), "lr": 0.1}], 0.5, 10, 0.0, "constant")
    words.track_weight_decay(optimiser)
    optimiser.step()
    assert words.decay == 1


def test_padding_has_no_gradient():
    encoder, rows = make("student")
    words = keep_used_rows(encoder, [rows], 0)
    encoder(*pad(rows, encoder.tokenizer)).square().sum().backward()
    place = int(words.place[0])
    assert not words.weight.grad[place].any()
    assert words.weight.grad.any(dim=1).sum() == len(words.weight) - 1


@ENCODERS
def test_vectors_are_the_same_before_and_after(kind):
    encoder, rows = make(kind)
    whole, inputs = copy.deepcopy(encoder).eval(), pad(rows, encoder.tokenizer)
    encoder.eval()
    assert isinstance(keep_used_rows(encoder, [rows], encoder.tokenizer.pad_token_id), UsedRowsEmbedding)
    assert torch.equal(encoder(*inputs), whole(*inputs))
    assert sum(map(torch.numel, encoder.parameters())) < sum(map(torch.numel, whole.parameters()))
    restore_embedding(encoder)
    assert encoder.state_dict().keys() == whole.state_dict().keys()
    assert all(torch.equal(one, whole.state_dict()[name]) for name, one in encoder.state_dict().items())


def test_an_id_that_is_not_held_raises():
    encoder, rows = make("tower")
    keep_used_rows(encoder, [Ragged.of([rows[0]])], encoder.tokenizer.pad_token_id)
    other = next(row for row in rows if set(row) - set(rows[0]))
    with pytest.raises(IndexError):
        encoder(*pad([other], encoder.tokenizer))


def test_a_killed_training_goes_on_with_its_decay(tmp_path):
    better = (4.0, 3.0, 2.0, 1.0)  # the last epoch is kept: its decay is that of steps before the kill and after
    wanted, *_ = fit("tower", compact=True, weight_decay=0.3, scores=better)

    class Killed(BaseException):
        pass

    class Scores(tuple):
        def __getitem__(self, place):
            if place == 2:
                raise Killed
            return super().__getitem__(place)

    first = Checkpoint(tmp_path / "checkpoints", "key")
    with pytest.raises(Killed):
        fit("tower", compact=True, weight_decay=0.3, scores=Scores(better), checkpoint=first)
    assert first.latest == 2 * STEPS
    second = Checkpoint(tmp_path / "checkpoints", "key")
    found, *_ = fit("tower", compact=True, weight_decay=0.3, scores=better, checkpoint=second)
    assert all(torch.equal(one, wanted.state_dict()[name]) for name, one in found.state_dict().items())
