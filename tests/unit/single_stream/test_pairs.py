"""Fine-tuning on pairs: the hinge by hand, the pool scored pair by pair, labels learnt from the image."""

import numpy as np
import pytest
import torch
from small_streams import corpus, stream, table
from tiny_models import ENGLISH, bert_text

from clseave.models.tokens import encode
from clseave.single_stream.pairs import Labelled, PairEntailment, PairModel, Pool, Retrieval, hinge
from clseave.statistics.recall import ranks
from clseave.training.loop import train
from clseave.training.optimiser import make_optimiser


def test_the_hinge_by_hand():
    scores = torch.tensor([[1.0, 0.9, 0.0], [0.2, 0.5, 0.8], [0.1, 0.3, 2.0]], requires_grad=True)
    # Texts: 0.9 - 1 + 0.2 = 0.1; 0.8 - 0.5 + 0.2 = 0.5; 0. Images: 0; 0.9 - 0.5 + 0.2 = 0.6; 0.
    loss = hinge(scores, torch.tensor([0, 1, 2]), 0.2)
    assert loss.item() == pytest.approx((0.1 + 0.5 + 0.6) / 3)
    loss.backward()
    thirds = 3 * scores.grad
    wanted = torch.tensor([[-1.0, 1 + 1, 0], [0, -1 - 1, 1], [0, 0, 0]])
    torch.testing.assert_close(thirds, wanted)


def test_texts_of_one_image_are_no_negatives():
    scores = torch.tensor([[1.0, 5.0, 0.9], [5.0, 1.0, 0.0], [0.0, 0.0, 1.0]])
    # Texts and images 0 and 1 are of one image: what is left is 0.9 of text 0 with image 2.
    assert hinge(scores, torch.tensor([4, 4, 7]), 0.2).item() == pytest.approx((0.1 + 0.1) / 3)


@pytest.fixture
def pool(tmp_path):
    return Pool(encode(bert_text(), [*ENGLISH, ENGLISH[0]]), np.array([0, 2, 1, 0]), table(tmp_path / "regions"))


def test_a_pool_is_scored_pair_by_pair(pool):
    torch.manual_seed(1)
    model = PairModel.scorer(stream()).eval()
    scores, column = pool.scores(model, 5)
    assert scores.shape == (4, 3) and column.tolist() == [0, 2, 1, 0]
    for text in range(4):
        for image in range(3):
            alone = model(pool.tokens, np.array([text]), pool.regions, np.array([image]))
            assert scores[text, image] == pytest.approx(alone.item(), abs=1e-5)
    np.testing.assert_allclose(scores[0], scores[3], atol=1e-5)


def test_retrieval_learns_which_image_a_text_is_of(pool):
    torch.manual_seed(1)
    model = PairModel.scorer(stream())
    data = Pool(pool.tokens, pool.images, pool.regions)
    objective = Retrieval(model, data, data, margin=0.2, size=4, encode_batch=12, seed=0)
    before = objective.validate()
    optimiser, schedule = make_optimiser([{"params": model.parameters(), "lr": 3e-3}], 0.0, 40, 0.1, "linear")
    curve, kept = train(objective, optimiser, schedule, 40)
    after = objective.validate()
    assert after["dev_text_to_image_r1"] == after["dev_image_to_text_r1"] == 1.0 > before["dev_text_to_image_r1"]
    assert after["dev_miss"] == pytest.approx(min(row["dev_miss"] for row in curve), abs=1e-6) and kept <= 40
    assert ranks(*data.scores(model, 12)).measures()["mean_recall"] == 1


def test_entailment_learns_labels_that_only_the_pair_has(tmp_path):
    torch.manual_seed(1)
    data = corpus(tmp_path / "regions")
    texts, images = np.array([0, 0, 1, 1]), np.array([0, 2, 0, 2])
    labels = torch.tensor([0, 1, 1, 0])  # neither text nor image tells it
    pairs = Labelled(data.captions, texts, data.regions, images, labels)
    model = PairModel.classifier(stream(), 16, 3, 0.0)
    objective = PairEntailment(model, pairs, pairs, size=4, encode_batch=3, seed=0)
    logits = model(data.captions, texts, data.regions, images)
    order = np.concatenate(objective.batches(1))
    assert sorted(order.tolist()) == [0, 1, 2, 3]
    loss = objective.loss(np.arange(4))
    assert loss.item() == pytest.approx(
        float(-logits.detach().log_softmax(1)[torch.arange(4), labels].mean()), rel=1e-5
    )
    optimiser, schedule = make_optimiser([{"params": model.parameters(), "lr": 3e-3}], 0.0, 60, 0.1, "linear")
    train(objective, optimiser, schedule, 60)
    assert objective.validate()["dev_accuracy"] == 1.0
