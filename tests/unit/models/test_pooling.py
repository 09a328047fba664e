"""One sentence vector from token states, on tensors by hand."""

import pytest
import torch

from clseave.models.pooling import pool_at, pool_at_end, pool_mean, position

END = 3
# Row 0: start, word 9 (the highest id), end, padding; row 1: start, end, a second end, padding.
IDS = torch.tensor([[2, 9, END, 0], [2, END, END, 0]])
MASK = torch.tensor([[1, 1, 1, 0], [1, 1, 1, 0]])
STATES = torch.tensor([[[1.0, 2], [3, 4], [5, 6], [100, 100]], [[7, 8], [9, 10], [11, 12], [-100, 50]]])


def pool(states, ids, mask, how):
    at = position(ids, END, how)
    return pool_mean(states, mask) if at is None else pool_at(states, at)


@pytest.mark.parametrize(
    ("how", "wanted"),
    [
        ("sep", [[5, 6], [9, 10]]),  # the first end token
        ("cls", [[1, 2], [7, 8]]),
        ("mean", [[3, 4], [9, 10]]),
    ],
)
def test_pooling_by_hand(how, wanted):
    assert pool(STATES, IDS, MASK, how).tolist() == wanted


def test_the_end_is_found_by_its_id_not_as_the_highest_id():
    assert pool_at_end(STATES, IDS, END)[0].tolist() != STATES[0, IDS[0].argmax()].tolist()


def test_a_row_without_an_end_token_raises_and_is_named():
    with pytest.raises(ValueError, match="row 1 has no end token 3"):
        pool_at_end(STATES, torch.tensor([[2, 9, END, 0], [2, 9, 8, 7]]), END)


@pytest.mark.parametrize("how", ["sep", "cls", "mean", "highest"])
def test_padding_does_not_matter(how):
    def wider(value, filling):
        return torch.cat([value, torch.full((2, 4, *value.shape[2:]), filling, dtype=value.dtype)], dim=1)

    assert torch.equal(pool(wider(STATES, 1e6), wider(IDS, 0), wider(MASK, 0), how), pool(STATES, IDS, MASK, how))


def test_a_pad_token_equal_to_the_end_token_is_not_pooled():
    # CLIP pads with its end token.
    ids = torch.tensor([[2, 9, END, END]])
    assert pool_at_end(STATES[:1], ids, END).tolist() == [[5, 6]]


def test_gradients_reach_the_pooled_position_only():
    states = STATES.clone().requires_grad_()
    pool_at_end(states, IDS, END).sum().backward()
    assert states.grad.abs().sum(-1).bool().tolist() == [[False, False, True, False], [False, True, False, False]]


def test_the_highest_id_is_the_first_of_the_largest():
    ids = torch.tensor([[101, 900, 7, 900, 102], [101, 5, 102, 0, 0]])
    assert position(ids, 102, "highest").tolist() == [1, 2]
