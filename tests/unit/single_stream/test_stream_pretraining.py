"""Pre-training: the weighted sum of tasks, its curve, and the same bytes after a stop."""

import numpy as np
import pytest
import torch
from small_streams import CLASSES, corpus, stream

from clseave.foundation.process.resume import Checkpoint
from clseave.single_stream.pretraining import Model, Pretraining, Sizes
from clseave.single_stream.tasks import NAMES, make_tasks
from clseave.training.loop import train
from clseave.training.optimiser import make_optimiser

WEIGHTS = {"mlm": 1.0, "mrc": 0.5, "tlm": 1.0, "cltr": 1.0, "cmtr": 2.0}


def objective(folder, weights=WEIGHTS):
    torch.manual_seed(4)
    encoder = stream()
    tasks = make_tasks(weights, encoder.width, CLASSES, word_share=0.3, region_share=0.3)
    data = corpus(folder)
    return Pretraining(Model(encoder, tasks), data, data, weights, Sizes(3, 2, 2), steps=4, seed=1)


def run(made, epochs, checkpoint=None, stop_after=None):
    groups = [{"params": made.model.parameters(), "lr": 1e-3}]
    optimiser, schedule = make_optimiser(groups, 0.01, 4 * epochs, 0.1, "linear")
    return train(made, optimiser, schedule, epochs, keep="last", checkpoint=checkpoint, stop_after=stop_after)


def test_the_loss_is_the_weighted_sum_of_the_tasks(tmp_path):
    made, again = objective(tmp_path / "a"), objective(tmp_path / "b")
    loss = made.loss(made.batches(1)[0])
    losses = again.losses(again.draw(), again.generator)
    assert list(losses) == list(NAMES)
    assert loss.item() == pytest.approx(sum(WEIGHTS[name] * value.item() for name, value in losses.items()), rel=1e-6)
    found = made.train_metrics()
    assert found["train_cmtr"] == pytest.approx(losses["cmtr"].item() / 4, abs=1e-5)
    assert made.train_metrics()["train_cmtr"] == 0


def test_validation_is_the_same_each_time_and_weighted(tmp_path):
    made = objective(tmp_path / "a")
    with torch.no_grad():
        first, second = made.validate(), made.validate()
    assert first == second and next(iter(first)) == "dev_loss"
    assert first["dev_loss"] == pytest.approx(sum(WEIGHTS[name] * first[f"dev_{name}"] for name in NAMES))


def test_every_task_is_learnt(tmp_path):
    made = objective(tmp_path / "a")
    curve, kept = run(made, 12)
    assert kept == 12
    for name in NAMES:
        assert curve[-1][f"train_{name}"] < curve[0][f"train_{name}"], name


def test_a_stopped_run_gives_the_same_bytes(tmp_path):
    whole, first, second = (objective(tmp_path / name) for name in "abc")
    curve, _ = run(whole, 3)
    run(first, 3, Checkpoint(tmp_path / "checkpoints", "key"), stop_after=2)
    again, _ = run(second, 3, Checkpoint(tmp_path / "checkpoints", "key"))
    assert curve == again
    for name, value in whole.model.state_dict().items():
        assert torch.equal(value, second.model.state_dict()[name]), name


def test_every_weight_is_trained(tmp_path):
    made = objective(tmp_path / "a")
    made.loss(np.arange(1)).backward()
    assert not [name for name, value in made.model.named_parameters() if value.grad is None]
