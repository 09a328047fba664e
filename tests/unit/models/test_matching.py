"""Heads that match the two sides in other ways, and the tower that gives the states of all tokens."""

import pytest
import tiny_models
import torch
from torch import nn
from torch.nn import functional

from clseave.models.head import Head
from clseave.models.matching import (
    FORMS,
    HEADS,
    AttentionHead,
    BilinearHead,
    MappedHead,
    Patches,
    TokenStates,
    make_head,
)
from clseave.models.tokens import encode, pad

H = torch.tensor([[1.0, -2, 0.5], [0, 3, -1]])
P = torch.tensor([[2.0, 1, 0.5], [4, -1, -3]])


def test_the_map_starts_as_the_identity():
    torch.manual_seed(0)
    head = MappedHead(3, 5, 0.1).eval()
    assert torch.equal(head(H, P), head.head(H, P))
    with torch.no_grad():
        head.map.weight.mul_(-1)
    assert torch.equal(head(H, P), head.head(-H, P))


@torch.no_grad()
def test_bilinear_forms_by_hand():
    head = BilinearHead(3, 5, 0.1).eval()
    head.layers = nn.Identity()
    weights = head.forms.weight.view(FORMS, 3, 3)
    h, p = functional.normalize(H, dim=-1), functional.normalize(P, dim=-1)
    wanted = [[float(p[row] @ weights[form] @ h[row]) for form in range(FORMS)] for row in range(2)]
    torch.testing.assert_close(head(H, P), torch.tensor(wanted))


def attention_head():
    torch.manual_seed(1)
    return AttentionHead(48, 5, 3, 16, 0.1).eval()


def test_attention_ignores_padding():
    head, patches = attention_head(), torch.randn(2, 15)
    texts = torch.randn(2, 4, 48)
    texts[1, 2:] = 0
    both = head(texts.flatten(1), patches)
    torch.testing.assert_close(both[1:], head(texts[1:, :2].flatten(1), patches[1:]))
    texts[1, 1] = texts[1, 0]  # the last state that is text decides
    assert not torch.allclose(head(texts.flatten(1), patches)[1], both[1])


def test_attention_knows_where_a_patch_is():
    head, text, patches = attention_head(), torch.randn(1, 48), torch.randn(1, 3, 5)
    swapped = patches[:, [1, 0, 2]]
    assert not torch.allclose(head(text, patches.flatten(1)), head(text, swapped.flatten(1)))
    with torch.no_grad():
        head.place.zero_()
    torch.testing.assert_close(head(text, patches.flatten(1)), head(text, swapped.flatten(1)))


def test_token_states_end_with_the_sentence_vector():
    tower = tiny_models.tower()
    states = TokenStates(tower.model, tower.tokenizer).eval()
    ids, mask = pad(list(encode(tower.tokenizer, tiny_models.ENGLISH)), tower.tokenizer, torch.device("cpu"))
    with torch.no_grad():
        found, vectors = states(ids, mask).view(len(tiny_models.ENGLISH), -1, tower.width), tower.eval()(ids, mask)
    assert found.shape[1] == tower.model.config.max_position_embeddings and states.width == found[0].numel()
    for row, length in enumerate(mask.sum(1).tolist()):
        torch.testing.assert_close(found[row, length - 1], vectors[row])
        assert not found[row, length:].any() and found[row, :length].abs().sum(1).all()


@pytest.mark.parametrize("name", HEADS)
def test_each_name_makes_a_head_with_three_logits(name):
    head = make_head(name, 48, 16, 0.1, Patches(3, 5)).eval()
    premise = torch.randn(2, 15 if "attention" in name else 48)
    assert head(torch.randn(2, 48), premise).shape == (2, 3)
    assert isinstance(head, Head) == (name == "thesis")
