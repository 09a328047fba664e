"""The training loop on models of one or two numbers."""

import logging
import re
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from made_up import MadeUp
from torch import nn

from clseave.foundation.errors import UserError
from clseave.training.loop import train
from clseave.training.optimiser import make_optimiser, schedule_factor


@pytest.mark.parametrize(
    ("schedule", "warmup", "wanted"),
    [
        ("constant", 0.0, [1, 1, 1, 1, 1]),
        ("constant", 0.4, [0.5, 1, 1, 1, 1]),
        ("linear", 0.0, [1, 0.8, 0.6, 0.4, 0.2]),
        ("linear", 0.4, [0.5, 1, 1, 2 / 3, 1 / 3]),
        ("linear", 1.0, [0.2, 0.4, 0.6, 0.8, 1]),
    ],
)
def test_schedule_by_hand(schedule, warmup, wanted):
    assert [schedule_factor(step, 5, warmup, schedule) for step in range(5)] == pytest.approx(wanted)


def test_the_linear_schedule_ends_at_zero():
    assert schedule_factor(5, 5, 0.2, "linear") == 0


def test_a_step_of_adamw_by_hand():
    weight = nn.Parameter(torch.tensor([2.0, -1.0], dtype=torch.float64))
    optimiser, schedule = make_optimiser([{"params": [weight], "lr": 0.1}], 0.5, 4, 0.0, "linear")
    assert optimiser.defaults["fused"]
    value, first, second = np.array([2.0, -1.0]), np.zeros(2), np.zeros(2)
    for step, gradient in enumerate([np.array([0.3, -2.0]), np.array([-0.1, 1.0])], start=1):
        weight.grad = torch.from_numpy(gradient)
        optimiser.step()
        schedule.step()
        rate = 0.1 * (1 - (step - 1) / 4)
        first, second = 0.9 * first + 0.1 * gradient, 0.999 * second + 0.001 * gradient**2
        value = value * (1 - rate * 0.5)  # decoupled weight decay
        value = value - rate * (first / (1 - 0.9**step)) / (np.sqrt(second / (1 - 0.999**step)) + 1e-8)
        assert weight.detach().numpy() == pytest.approx(value, rel=1e-9)


def test_groups_keep_their_own_rates():
    one, other = nn.Parameter(torch.ones(1)), nn.Parameter(torch.ones(1))
    optimiser, _ = make_optimiser(
        [{"params": [one], "lr": 0.1}, {"params": [other], "lr": 0.01}], 0.0, 10, 0.0, "constant"
    )
    one.grad = other.grad = torch.ones(1)
    optimiser.step()
    assert (one.item(), other.item()) == pytest.approx((0.9, 0.99))


class Number(nn.Module):
    """One weight and a buffer that counts the training steps, as batch norm does."""

    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.tensor([0.0]))
        self.register_buffer("steps", torch.tensor(0))


def climb(
    scores=None, epochs=5, *, patience=None, losses=None, batches=(3, 1), keep="best", stop_after=None, **changes
):
    """Every step raises the weight by 1; `scores` are what validation says, epoch by epoch."""
    module, modes = Number(), []

    def step(rows):
        module.steps += 1
        modes.append(("train", module.training))
        value = 1.0 if losses is None else losses[int(module.steps) - 1]
        return -module.weight.sum() - (-module.weight.detach().sum()) + value  # the loss says `value`, its slope is -1

    def validate():
        modes.append(("validate", module.training, torch.is_grad_enabled()))
        return {"dev_loss": scores[objective.epoch - 1], "weight": module.weight.item()}

    objective = MadeUp(
        "test",
        module,
        lambda epoch: [np.arange(size) for size in batches],
        step,
        None if scores is None else validate,
        **changes,
    )
    optimiser = torch.optim.SGD(module.parameters(), lr=1.0)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimiser, lambda _: 1.0)
    curve, kept = train(objective, optimiser, schedule, epochs, patience, keep=keep, stop_after=stop_after)
    return SimpleNamespace(curve=curve, kept=kept, model=module, modes=modes)


def test_the_best_epochs_weights_and_buffers_are_kept():
    done = climb([5, 3, 4, 3, 6])
    assert done.kept == 2  # the first of equals
    assert (done.model.weight.item(), done.model.steps.item()) == (4, 4)  # two epochs of two steps
    assert [row["epoch"] for row in done.curve] == [1, 2, 3, 4, 5]
    assert done.curve[done.kept - 1]["dev_loss"] == 3


@pytest.mark.parametrize(
    ("scores", "patience", "run", "kept"),
    [
        ([5, 6, 4, 3, 2], 1, 2, 1),
        ([5, 6, 4, 5, 5, 1], 2, 5, 3),
        ([5, 4, 3, 2, 1], 1, 5, 5),
        ([5, 5, 5, 5, 5], 3, 4, 1),
        ([5, 6, 7, 8, 1], None, 5, 5),
    ],
)
def test_training_stops_after_so_many_epochs_without_a_better_one(scores, patience, run, kept):
    done = climb(scores, epochs=len(scores), patience=patience)
    assert (done.kept, len(done.curve)) == (kept, run)
    assert done.model.weight.item() == 2 * kept


def test_the_last_epochs_weights_are_kept_when_asked_for():
    # The thesis's way: training stops when the loss exceeds the epoch before, and that epoch's weights stay.
    done = climb([5, 4, 6, 1], epochs=4, patience=1, keep="last")
    assert (done.kept, len(done.curve), done.model.weight.item()) == (3, 3, 6)


@pytest.mark.parametrize(("keep", "kept"), [("best", 2), ("last", 3)])
def test_a_schedule_can_be_stopped_before_its_end(keep, kept):
    done = climb([5, 3, 4, 1, 0], stop_after=3, keep=keep)
    assert (done.kept, len(done.curve), done.model.weight.item()) == (kept, 3, 2 * kept)


def test_a_stop_after_the_last_epoch_changes_nothing():
    assert len(climb([5, 4, 3], epochs=3, stop_after=9).curve) == 3


def test_without_validation_the_last_epoch_counts():
    done = climb(epochs=3)
    assert (done.kept, done.model.weight.item()) == (3, 6)


def test_dropout_is_on_in_training_and_off_in_validation_and_afterwards():
    done = climb([2, 1], epochs=2)
    assert done.modes == [("train", True), ("train", True), ("validate", False, False)] * 2
    assert not any(module.training for module in done.model.modules())


def test_the_loss_is_the_mean_over_rows():
    done = climb(epochs=1, losses=[1.0, 5.0], batches=(3, 1), loss_name="train_mse")
    assert done.curve == [{"epoch": 1, "train_mse": 2.0, "learning_rate": 1.0}]  # (3 * 1 + 5) / 4


def test_metrics_of_training_are_part_of_the_curve(monkeypatch):
    monkeypatch.setattr(MadeUp, "train_metrics", lambda self: {"train_accuracy": 0.5})
    done = climb([1], epochs=1)
    assert list(done.curve[0]) == ["epoch", "train_loss", "train_accuracy", "dev_loss", "weight", "learning_rate"]


@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
def test_a_training_loss_that_is_not_finite_raises(bad):
    with pytest.raises(
        UserError, match=rf"test: the loss of step 4 \(epoch 2, step 2 of 2\) is {bad}.*last good checkpoint: none"
    ):
        climb(epochs=3, losses=[1, 1, 1, bad, 1, 1])


def test_a_validation_loss_that_is_not_finite_raises():
    """No epoch would ever be the best, and the last weights would be saved as those of epoch 0."""
    with pytest.raises(UserError, match=r"test: the validation loss of epoch 1 \(step 2\) is nan"):
        climb([float("nan")] * 3, epochs=3, patience=2)


@pytest.mark.parametrize(("bound", "moved"), [(None, 10.0), (1.0, 1.0), (100.0, 10.0)])
def test_clipping_bounds_the_gradient(bound, moved):
    module, batches = Number(), [np.arange(2)]
    objective = MadeUp(
        "test", module, lambda epoch: batches, lambda rows: -10 * module.weight.sum(), max_grad_norm=bound
    )
    optimiser = torch.optim.SGD(module.parameters(), lr=1.0)
    train(objective, optimiser, torch.optim.lr_scheduler.LambdaLR(optimiser, lambda _: 1.0), 1)
    assert module.weight.item() == pytest.approx(moved, abs=1e-4)


def test_the_curve_shows_the_last_steps_rate():
    module = Number()
    objective = MadeUp("test", module, lambda epoch: [np.arange(2)] * 2, lambda rows: module.weight.sum())
    optimiser, schedule = make_optimiser([{"params": module.parameters(), "lr": 0.4}], 0.0, 4, 0.0, "linear")
    curve, _ = train(objective, optimiser, schedule, 2)
    assert [row["learning_rate"] for row in curve] == [pytest.approx(0.3), pytest.approx(0.1)]


def test_every_epoch_draws_its_own_batches():
    seen, module = [], Number()
    objective = MadeUp(
        "test", module, lambda epoch: seen.append(epoch) or [np.arange(2)], lambda rows: module.weight.sum()
    )
    optimiser, schedule = make_optimiser([{"params": module.parameters(), "lr": 0.1}], 0.0, 3, 0.0, "constant")
    train(objective, optimiser, schedule, 3)
    assert seen == [1, 2, 3]


def test_the_time_left_is_for_the_epochs_that_will_run(caplog, monkeypatch):
    """Four pairs an epoch: after the first of three, of five in the schedule, eight are left."""
    asked = []
    monkeypatch.setattr(
        "clseave.foundation.process.progress.time_left", lambda todo, speed: asked.append(todo) or "a while left"
    )
    with caplog.at_level(logging.INFO):
        climb(epochs=5, stop_after=3)
    assert asked == [8, 4, 0]
    assert caplog.messages[0].startswith("test 1/5  ") and caplog.messages[0].endswith("a while left to epoch 3")


def test_one_line_an_epoch_and_nothing_printed(caplog, capsys):
    with caplog.at_level(logging.INFO):
        climb([2, 1], epochs=2)
    first, second = caplog.messages
    figures = r"train_loss 1  dev_loss {}  weight {}  learning_rate 1  \d+ pairs/s, about {} left to epoch 2"
    assert re.fullmatch("test 1/2  " + figures.format(2, 2, r"\d:\d\d:\d\d"), first)
    assert re.fullmatch("test 2/2  " + figures.format(1, 4, "0:00:00"), second)
    assert capsys.readouterr().out == ""
