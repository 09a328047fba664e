"""The two small backbones and their losses."""

import numpy as np
import pytest
import torch
from tiny_models import SENTENCES, bert_text, clip_text
from torch.nn import functional

from clseave.images import prepare
from clseave.pretraining import (
    IGNORED,
    STEPS_PER_LINE,
    build_clip,
    build_mbert,
    contrastive_task,
    mask_tokens,
    masked_language_task,
)
from clseave.schema import ClipBackbone, MbertBackbone, Tower
from clseave.text import encode, pad

TOWER = Tower(layers=1, width=8, heads=2)
CLIP = ClipBackbone(
    text=TOWER,
    vision=TOWER,
    patch=16,
    projection=6,
    vocabulary=560,
    max_tokens=24,
    steps=100,
    batch_size=3,
    lr=1e-3,
    weight_decay=0.0,
    warmup=0.0,
)
MBERT = MbertBackbone(
    tower=TOWER,
    vocabulary=500,
    max_tokens=40,
    steps=100,
    batch_size=5,
    lr=1e-3,
    weight_decay=0.0,
    warmup=0.0,
    mask=0.15,
)
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


def test_clip_is_shaped_by_the_profile():
    model = build_clip(CLIP, clip_text(), 32)
    text, vision = model.config.text_config, model.config.vision_config
    assert (text.hidden_size, text.num_hidden_layers, text.num_attention_heads, text.intermediate_size) == (8, 1, 2, 32)
    assert (text.vocab_size, text.max_position_embeddings) == (len(clip_text()), 24)
    assert (text.bos_token_id, text.eos_token_id, text.pad_token_id) == (
        clip_text().bos_token_id,
        clip_text().eos_token_id,
        clip_text().pad_token_id,
    )
    assert (vision.image_size, vision.patch_size, vision.hidden_size) == (32, 16, 8)
    assert model.config.projection_dim == text.projection_dim == vision.projection_dim == 6
    assert model.config._attn_implementation == "eager"


def test_mbert_is_shaped_by_the_profile():
    model = build_mbert(MBERT, bert_text())
    config = model.config
    assert (config.hidden_size, config.num_hidden_layers, config.num_attention_heads, config.intermediate_size) == (
        8,
        1,
        2,
        32,
    )
    assert (config.vocab_size, config.max_position_embeddings, config.pad_token_id) == (len(bert_text()), 40, 0)
    assert config._attn_implementation == "eager"


def test_contrastive_loss_by_hand():
    torch.manual_seed(0)
    model = build_clip(CLIP, clip_text(), 32).eval()
    captions = ["A red circle", "A blue square, an empty cell", "A yellow diamond"]
    images = np.random.default_rng(0).integers(0, 256, size=(3, 32, 32, 3), dtype=np.uint8)
    ids, mask = pad(encode(clip_text(), captions), clip_text())
    with torch.no_grad():
        text, vision = (
            functional.normalize(value.pooler_output, dim=-1)
            for value in (
                model.get_text_features(input_ids=ids, attention_mask=mask),
                model.get_image_features(prepare(images, 32)),
            )
        )
        logits = text @ vision.T * model.logit_scale.exp()
        wanted = 0.0
        for side in (logits, logits.T):
            wanted += sum(float(row.logsumexp(0) - row[number]) for number, row in enumerate(side)) / 3 / 2
        task = contrastive_task(model, clip_text(), iter([(captions, images)]), 3)
        assert task.step(np.arange(3)).item() == pytest.approx(wanted, abs=1e-5)
    right = sum(int(column.argmax()) == number for number, column in enumerate(logits.T))
    assert task.train_figures() == {"train_accuracy": round(right / 3, 6)}


def test_masked_language_loss_by_hand():
    torch.manual_seed(0)
    model = build_mbert(MBERT, bert_text()).eval()
    task = masked_language_task(model, bert_text(), SENTENCES, MBERT, seed=7)
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
        assert task.step(np.arange(5)).item() == pytest.approx(wanted.mean().item(), abs=1e-5)


def test_an_epoch_of_the_curve_is_a_hundred_steps():
    task = masked_language_task(build_mbert(MBERT, bert_text()), bert_text(), SENTENCES, MBERT, seed=0)
    assert STEPS_PER_LINE == 100 and [len(rows) for rows in task.batches(1)] == [5] * 100
    assert task.clip == 1.0


def test_twenty_steps_on_one_batch_lower_the_contrastive_loss():
    torch.manual_seed(0)
    model = build_clip(CLIP, clip_text(), 32).train()
    pair = (
        ["A red circle", "A blue square", "A yellow diamond"],
        np.random.default_rng(0).integers(0, 256, size=(3, 32, 32, 3), dtype=np.uint8),
    )
    task = contrastive_task(model, clip_text(), iter([pair] * 20), 3)
    optimiser = torch.optim.AdamW(model.parameters(), lr=1e-2)
    losses = []
    for _ in range(20):
        loss = task.step(np.arange(3))
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
