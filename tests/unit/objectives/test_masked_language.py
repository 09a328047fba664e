"""mBERT's pre-training objective: which tokens are masked, and its value and gradient by hand."""

from math import log

import numpy as np
import pytest
import torch
from small_backbones import MBERT
from tiny_models import SENTENCES, bert_text

from clseave.backbones.pretraining import build_mbert
from clseave.models.tokens import encode, pad
from clseave.objectives.masked_language import IGNORED, MaskedLanguage, mask_tokens

SPECIAL = torch.tensor(bert_text().all_special_ids)
LARGE = pad(encode(bert_text(), SENTENCES * 400), bert_text())[0]


def masked(share, seed=0):
    return mask_tokens(LARGE, bert_text(), share, np.random.default_rng(seed))


@pytest.mark.parametrize("share", [0.15, 0.5])
def test_shares_of_masked_random_and_kept_tokens(share):
    inputs, labels = masked(share)
    words = ~torch.isin(LARGE, SPECIAL)
    chosen = labels != IGNORED
    assert (chosen.sum() / words.sum()).item() == pytest.approx(share, abs=0.02)
    fate = inputs[chosen]
    mask = fate == bert_text().mask_token_id
    assert mask.float().mean().item() == pytest.approx(0.8, abs=0.03)
    # A random token equals the old one by chance once in a vocabulary.
    assert (fate == LARGE[chosen]).float().mean().item() == pytest.approx(0.1, abs=0.03)
    assert (~mask & (fate != LARGE[chosen])).float().mean().item() == pytest.approx(0.1, abs=0.03)


def test_one_token_is_chosen_where_the_draw_chose_none():
    inputs, labels = masked(0.0)
    ((row, column),) = (labels != IGNORED).nonzero().tolist()
    assert labels[row, column] == LARGE[row, column] and LARGE[row, column] not in SPECIAL
    assert (inputs != LARGE).sum() <= 1


def test_special_tokens_are_never_chosen_nor_drawn():
    inputs, labels = masked(0.9)
    special = torch.isin(LARGE, SPECIAL)
    assert torch.equal(inputs[special], LARGE[special]) and (labels[special] == IGNORED).all()
    drawn = inputs[~special & (inputs != bert_text().mask_token_id)]
    assert not torch.isin(drawn, SPECIAL).any() and drawn.max() < len(bert_text())


def test_labels_are_the_old_ids_and_the_rest_is_left_alone():
    inputs, labels = masked(0.3)
    chosen = labels != IGNORED
    assert torch.equal(labels[chosen], LARGE[chosen]) and torch.equal(inputs[~chosen], LARGE[~chosen])
    assert IGNORED == torch.nn.CrossEntropyLoss().ignore_index


def test_masks_repeat_by_seed():
    assert torch.equal(masked(0.3)[0], masked(0.3)[0]) and not torch.equal(masked(0.3)[0], masked(0.3, seed=1)[0])


def drawn(seed=7):
    """What an objective with this seed draws first: ids, mask, masked inputs and labels, (5, T) each."""
    rng = np.random.default_rng([seed, 6])  # the same draws, in the same order: rows, then masks
    rows = encode(bert_text(), SENTENCES)
    ids, mask = pad([rows[row] for row in rng.integers(0, 4, size=5)], bert_text())
    return ids, mask, *mask_tokens(ids, bert_text(), 0.15, rng)


def test_loss_and_gradient_of_a_model_that_predicts_all_tokens_alike():
    model = build_mbert(MBERT, bert_text()).eval()
    head = model.get_output_embeddings()
    with torch.no_grad():
        head.weight.zero_()
        head.bias.zero_()
    loss = MaskedLanguage(model, bert_text(), SENTENCES, MBERT, seed=7).loss(np.arange(5))
    loss.backward()
    tokens = len(bert_text())  # V: each has the probability 1 / V, so the loss is ln V
    assert loss.item() == pytest.approx(log(tokens), abs=1e-5)
    # Of the bias: the mean over masked positions of softmax - one-hot, 1 / V - share of the masked that are it.
    _, _, _, labels = drawn()
    truth = labels[labels != IGNORED]
    wanted = 1 / tokens - torch.bincount(truth, minlength=tokens) / len(truth)
    torch.testing.assert_close(head.bias.grad, wanted, atol=1e-6, rtol=0)


def test_a_small_bert_by_hand():
    torch.manual_seed(0)
    model = build_mbert(MBERT, bert_text()).eval()
    objective = MaskedLanguage(model, bert_text(), SENTENCES, MBERT, seed=7)
    # The same draws, in the same order: rows, then masks.
    rng = np.random.default_rng([7, 6])
    rows = encode(bert_text(), SENTENCES)
    ids, mask = pad([rows[row] for row in rng.integers(0, 4, size=5)], bert_text())
    inputs, labels = mask_tokens(ids, bert_text(), 0.15, rng)
    assert (labels != IGNORED).any()
    with torch.no_grad():
        scores = model(input_ids=inputs, attention_mask=mask).logits.log_softmax(-1)
        wanted = -torch.stack(
            [scores[row, column, labels[row, column]] for row, column in (labels != IGNORED).nonzero()]
        )
        assert objective.loss(np.arange(5)).item() == pytest.approx(wanted.mean().item(), abs=1e-5)


def test_the_generator_decides_sentences_and_masks():
    model = build_mbert(MBERT, bert_text()).eval()
    objective = MaskedLanguage(model, bert_text(), SENTENCES, MBERT, seed=7)
    state = objective.generator.bit_generator.state
    first, second = (objective.loss(np.arange(5)).item() for _ in range(2))
    objective.generator.bit_generator.state = state  # as the training loop does when it resumes
    assert objective.loss(np.arange(5)).item() == first != second


def test_there_is_no_validation_and_an_epoch_is_a_hundred_steps():
    objective = MaskedLanguage(build_mbert(MBERT, bert_text()), bert_text(), SENTENCES, MBERT, seed=0)
    assert objective.validate() == {} and [len(batch) for batch in objective.batches(1)] == [5] * 100
    assert objective.max_grad_norm == 1.0
