"""Heads without training: the best cuts between cosines, the majority, and what is stored of them."""

import itertools
import json
import math

import numpy as np
import pytest
import torch
from torch.nn import functional

from clseave.foundation.errors import UserError
from clseave.foundation.rows.labels import LABELS
from clseave.models.clip_ve import judge, load_head, save_head
from clseave.models.head import ORDER, ThresholdHead, best_thresholds, cosine, log_shares

CONTRADICTION, NEUTRAL, ENTAILMENT = (LABELS.index(name) for name in ORDER)


def right(scores, labels, low, high):
    """How many rows the rule judges rightly."""
    said = np.where(scores < low, CONTRADICTION, np.where(scores < high, NEUTRAL, ENTAILMENT))
    return int((said == labels).sum())


def all_cuts(scores):
    """A cut below all scores, one between any two that differ, and one above all."""
    known = np.unique(scores)
    return [known[0] - 1, *((known[1:] + known[:-1]) / 2), known[-1] + 1]


@pytest.mark.parametrize("seed", range(60))
def test_no_other_cuts_judge_more_rows_rightly(seed):
    rng = np.random.default_rng(seed)
    count = int(rng.integers(1, 25))
    scores = rng.integers(0, 8, count) / 8 if seed % 2 else rng.uniform(-1, 1, count)  # every other seed has ties
    labels = rng.integers(0, 3, count)
    low, high = best_thresholds(scores, labels)
    assert low <= high
    pairs = itertools.combinations_with_replacement(all_cuts(scores), 2)
    assert right(scores, labels, low, high) == max(right(scores, labels, *pair) for pair in pairs)


def test_the_cuts_lie_midway_between_the_scores_by_hand():
    scores = np.array([0.5, 0.1, 0.3, 0.2, 0.6])
    labels = np.array([ENTAILMENT, CONTRADICTION, NEUTRAL, CONTRADICTION, ENTAILMENT])
    assert best_thresholds(scores, labels) == pytest.approx((0.25, 0.4))


def test_a_cut_never_parts_equal_scores():
    scores = np.array([0.25, 0.25, 0.25, 0.75])
    labels = np.array([CONTRADICTION, NEUTRAL, NEUTRAL, ENTAILMENT])
    assert best_thresholds(scores, labels) == (0.25 - 1, 0.5)  # the lowest three are neutral, one of them wrongly


@pytest.mark.parametrize(
    ("label", "intervals"), [(CONTRADICTION, (5, 0, 0)), (NEUTRAL, (0, 5, 0)), (ENTAILMENT, (0, 0, 5))]
)
def test_one_label_only_takes_all_rows(label, intervals):
    scores, labels = np.linspace(0, 1, 5), np.full(5, label)
    low, high = best_thresholds(scores, labels)
    found = np.bincount(np.searchsorted([low, high], scores, side="right"), minlength=3)
    assert tuple(found) == intervals
    head = ThresholdHead.fit(scores, labels)
    assert (head.judge(torch.tensor(scores, dtype=torch.float32)).argmax(dim=1) == label).all()


def test_the_first_of_equally_good_cuts_is_taken():
    # Neutral below contradiction: one of the two is wrong, wherever the cuts are. The lowest upper cut is taken.
    assert best_thresholds(np.array([0.0, 1.0]), np.array([NEUTRAL, CONTRADICTION])) == (-1.0, 0.5)


def test_shares_are_counted_with_one_more_of_each():
    assert log_shares(np.array([1, 1, 2])) == [round(math.log(share), 6) for share in (1 / 6, 3 / 6, 2 / 6)]
    assert log_shares(np.array([], dtype=np.int64)) == [round(math.log(1 / 3), 6)] * 3


def test_logits_are_the_shares_of_the_interval_by_hand():
    head = ThresholdHead([0.25, 0.5], [[-1.0, -2.0, -3.0], [-4.0, -5.0, -6.0], [-7.0, -8.0, -9.0]])
    found = head.judge(torch.tensor([0.1, 0.25, 0.4, 0.5, 0.9]))  # a score on a cut belongs above it
    assert found[:, 0].tolist() == [-1.0, -4.0, -4.0, -7.0, -7.0]


def test_the_head_looks_at_the_cosine_alone():
    head = ThresholdHead([0.0], [[0.0, -1.0, -2.0], [-2.0, -1.0, 0.0]])
    hypothesis, premise = torch.tensor([[1.0, 0.0], [0.0, 2.0]]), torch.tensor([[1.0, 1.0], [1.0, -3.0]])
    assert cosine(hypothesis, premise).tolist() == pytest.approx([0.5**0.5, -3 / 10**0.5])
    assert head(hypothesis, premise).argmax(dim=1).tolist() == [2, 0]
    assert torch.equal(head(5 * hypothesis, premise / 7), head(hypothesis, premise))


def test_a_fit_is_no_worse_than_its_cuts_and_gives_shares_of_train():
    rng = np.random.default_rng(4)
    labels = rng.integers(0, 3, 300)
    likeness = np.array([ORDER.index(name) for name in LABELS])
    scores = rng.normal(likeness[labels], 1).astype(np.float32)
    head = ThresholdHead.fit(scores, labels)
    logits = head.judge(torch.from_numpy(scores))
    hits = int((logits.argmax(dim=1).numpy() == labels).sum())
    assert hits >= right(scores, labels, *best_thresholds(scores, labels)) > 150
    # In each interval the mean share is that of its rows, so no other constant has a lower loss there.
    assert functional.cross_entropy(logits, torch.from_numpy(labels)) < math.log(3)
    assert torch.allclose(logits.exp().sum(dim=1), torch.ones(300), atol=1e-5)


def test_the_majority_gives_every_row_the_same_shares():
    head = ThresholdHead.majority(np.array([2, 2, 0]))
    logits = head(torch.randn(4, 3), torch.randn(4, 3))
    assert logits.exp()[0].tolist() == pytest.approx([2 / 6, 1 / 6, 3 / 6], abs=1e-6)
    assert torch.equal(logits, logits[:1].expand(4, 3))


@pytest.mark.parametrize("thresholds", [[], [0.125, 0.25]])
def test_a_head_comes_back_from_its_file(tmp_path, thresholds):
    head = ThresholdHead(thresholds, [[-1.0, -0.5, -2.0 - row] for row in range(len(thresholds) + 1)])
    save_head(tmp_path, head, "clip_ve")
    assert [path.name for path in tmp_path.iterdir()] == ["head.json"]
    again, inputs = load_head(tmp_path)
    hypothesis, premise = torch.randn(50, 4), torch.randn(50, 4)
    assert isinstance(again, ThresholdHead) and inputs == "clip_ve" and not again.training
    assert torch.equal(judge(again, inputs, hypothesis, premise), head(hypothesis, premise))


@pytest.mark.parametrize(
    "change",
    [{"thresholds": [0.5, 0.1]}, {"thresholds": [0.1]}, {"log_shares": []}, {"inputs": "text"}, {"log_shares": "x"}],
)
def test_a_damaged_file_is_the_user_s_error(tmp_path, change):
    save_head(tmp_path, ThresholdHead([0.1, 0.5], [[0.0, 0.0, 0.0]] * 3), "clip_ve")
    content = json.loads((tmp_path / "head.json").read_text())
    (tmp_path / "head.json").write_text(json.dumps(content | change))
    with pytest.raises(UserError, match=r"head\.json"):
        load_head(tmp_path)
