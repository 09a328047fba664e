"""The five tasks of pre-training: losses against plain computations, gradients, and what is masked."""

import numpy as np
import pytest
import torch
from small_streams import CLASSES, step, stream
from tiny_models import bert_text

from clseave.objectives.masked_language import IGNORED, mask_tokens
from clseave.single_stream.tasks import (
    NAMES,
    BilinearAttention,
    CrossLingualRecovery,
    CrossModalRecovery,
    MaskedRegions,
    MaskedWords,
    TranslatedMaskedWords,
    make_tasks,
)


@pytest.fixture
def batch(tmp_path):
    return step(tmp_path / "regions")


@pytest.fixture
def encoder():
    return stream()


def nll(logits, target):
    """The cross-entropy of one prediction, in doubles."""
    logits = logits.detach().double().numpy()
    return np.log(np.exp(logits - logits.max()).sum()) + logits.max() - logits[target]


def of_masked(encoder, texts, regions, share, rng):
    """The mean over masked words, one by one."""
    inputs, labels = mask_tokens(texts.ids, bert_text(), share, rng)
    states = encoder(texts.with_ids(inputs), regions)
    logits = encoder.predict_words(states[:, : labels.shape[1]])
    places = [(row, column) for row, column in np.argwhere((labels != IGNORED).numpy())]
    return np.mean([nll(logits[place], int(labels[place])) for place in places])


def test_masked_words_with_and_without_the_image(encoder, batch):
    rng = np.random.default_rng(5)
    wanted = of_masked(encoder, batch.captions, batch.regions, 0.4, rng) + of_masked(
        encoder, batch.alone, None, 0.4, rng
    )
    found = MaskedWords(0.4).loss(encoder, batch, np.random.default_rng(5))
    assert found.item() == pytest.approx(wanted, rel=1e-5)


def test_translated_masked_words(encoder, batch):
    wanted = of_masked(encoder, batch.joined, None, 0.4, np.random.default_rng(6))
    found = TranslatedMaskedWords(0.4).loss(encoder, batch, np.random.default_rng(6))
    assert found.item() == pytest.approx(wanted, rel=1e-5)


def test_masked_regions(encoder, batch):
    task = MaskedRegions(0.5, encoder.width, CLASSES)
    draw = np.random.default_rng(7).random((3, 3))
    draw[~batch.regions.mask.bool().numpy()] = 1.0
    chosen = (draw < 0.5) | (draw == draw.min())
    features = batch.regions.features.clone()
    features[torch.from_numpy(chosen)] = 0
    states = encoder(batch.captions, batch.regions.with_features(features))[:, batch.captions.ids.shape[1] :]
    wanted = []
    for row, column in np.argwhere(chosen):
        shares = batch.regions.classes[row, column].double().numpy()
        logits = task.classify(states[row, column])
        wanted.append(sum(share * nll(logits, kind) for kind, share in enumerate(shares)))
    assert 1 < chosen.sum() < 6
    assert task.loss(encoder, batch, np.random.default_rng(7)).item() == pytest.approx(np.mean(wanted), rel=1e-5)


def test_one_region_is_masked_at_least(encoder, batch):
    task = MaskedRegions(0.0, encoder.width, CLASSES)
    assert task.loss(encoder, batch, np.random.default_rng(1)).item() > 0


def test_bilinear_attention_by_hand():
    made = BilinearAttention(2)
    made.weight.data = torch.tensor([[1.0, 0.0], [2.0, 1.0]])
    words, others = torch.tensor([[[1.0, 1.0]]]), torch.tensor([[[1.0, 0.0], [0.0, 2.0], [9.0, 9.0]]])
    # e'W = (3, 1); scores 3 and 2, the third is padding.
    share = np.exp(3) / (np.exp(3) + np.exp(2))
    found = made(words, others, torch.tensor([[1, 1, 0]]))
    np.testing.assert_allclose(found.detach()[0, 0], np.tanh([share, 2 * (1 - share)]), rtol=1e-6)


def recovered(encoder, task, texts, others, mask):
    """The mean over all words but special ones, one by one."""
    logits = encoder.predict_words(encoder(texts, words=task.attention(encoder.embed_words(texts.ids), others, mask)))
    special = set(bert_text().all_special_ids)
    places = [place for place in np.ndindex(*texts.ids.shape) if int(texts.ids[place]) not in special]
    return np.mean([nll(logits[place], int(texts.ids[place])) for place in places])


def test_words_are_recovered_from_the_translation(encoder, batch):
    task = CrossLingualRecovery(encoder.width)
    others = encoder.embed_words(batch.second.ids)
    wanted = recovered(encoder, task, batch.first, others, batch.second.mask)
    assert task.loss(encoder, batch, np.random.default_rng(0)).item() == pytest.approx(wanted, rel=1e-5)


def test_words_are_recovered_from_the_regions(encoder, batch):
    task = CrossModalRecovery(encoder.width)
    wanted = recovered(encoder, task, batch.captions, encoder.embed_regions(batch.regions), batch.regions.mask)
    assert task.loss(encoder, batch, np.random.default_rng(0)).item() == pytest.approx(wanted, rel=1e-5)


@pytest.mark.parametrize("name", NAMES)
def test_a_step_against_the_gradient_lowers_each_loss(encoder, batch, name):
    torch.manual_seed(3)
    task = make_tasks({name: 1.0}, encoder.width, CLASSES, word_share=0.3, region_share=0.3)[name]
    weights = [*encoder.parameters(), *task.parameters()]
    first = task.loss(encoder, batch, np.random.default_rng(2))
    first.backward()
    with torch.no_grad():
        norm = torch.stack([one.grad.square().sum() for one in weights if one.grad is not None]).sum()
        for one in weights:
            if one.grad is not None:
                one.sub_(1e-3 * one.grad / norm.sqrt())
    second = task.loss(encoder, batch, np.random.default_rng(2))
    assert (first - second).item() == pytest.approx(1e-3 * float(norm.sqrt()), rel=0.05)


def test_tasks_without_a_weight_are_not_made(encoder):
    made = make_tasks({"cmtr": 1, "mlm": 0.5, "tlm": 0}, encoder.width, CLASSES, word_share=0.15, region_share=0.15)
    assert list(made) == ["mlm", "cmtr"]
    both = make_tasks({"cltr": 1, "cmtr": 1}, encoder.width, CLASSES, word_share=0.15, region_share=0.15)
    assert not torch.equal(*(task.attention.weight for task in both.values()))  # of their own
