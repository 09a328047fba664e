"""Checkpoints: a training that is cut short anywhere ends with the same bytes, and no checkpoint is taken wrongly."""

import logging
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional

from clseave.foundation.errors import UserError
from clseave.foundation.process import resume
from clseave.foundation.process.resume import Checkpoint, Parts, Store, clear, key_of
from clseave.foundation.settings.schema import AutoencoderParams
from clseave.training import loop
from clseave.training.loop import TrainingLoop, train
from clseave.training.objective import Objective
from clseave.training.optimiser import make_optimiser
from views import view

EPOCHS, STEPS = 4, 3
SCORES = [5.0, 3.0, 4.0, 3.5]  # of validation: the second epoch is kept, the fourth not reached with patience 1


class Killed(BaseException):
    """Stands for SIGKILL: nothing of ours may catch it."""


class World(Objective):
    """A small training with all that changes from step to step: dropout, batch norm, a generator, a sum."""

    name = "made up"
    max_grad_norm = 1.0

    def __init__(self, folder, *, seed=0, every_step=True, patience=None, keep="best"):
        torch.manual_seed(seed)
        self.model = nn.Sequential(nn.Linear(4, 8), nn.BatchNorm1d(8), nn.Dropout(0.3), nn.Linear(8, 2))
        self.checkpoint = Checkpoint(folder, "key")
        self.checkpoint.seconds = 0.0 if every_step else 1e9
        self.generator, self.done, self.stops = np.random.default_rng(7), 0, {"patience": patience, "keep": keep}
        self.epoch, self.sum = 0, 0.0
        groups = [{"params": self.model.parameters(), "lr": 0.05}]
        self.optimiser, self.schedule = make_optimiser(groups, 0.1, EPOCHS * STEPS, 0.25, "linear")
        self.kill_at: int | None = None
        self.losses: dict[int, float] = {}

    def batches(self, epoch):
        self.epoch = epoch
        return list(np.random.default_rng([3, epoch]).permutation(STEPS * 6).reshape(STEPS, 6))

    def loss(self, batch):
        if self.done == self.kill_at:
            raise Killed
        self.done += 1
        inputs = torch.from_numpy(
            batch[:, None] * np.array([1, 2, 3, 4]) / 20 + self.generator.normal(size=(6, 4))
        ).float()
        self.sum += float(inputs.sum())
        loss = functional.mse_loss(self.model(inputs), torch.ones(6, 2))
        return loss * self.losses.get(self.done, 1.0)

    def validate(self):
        return {"dev_loss": SCORES[self.epoch - 1], "weight": float(self.model[0].weight.sum())}

    def train_metrics(self):
        found, self.sum = {"sum": round(self.sum, 6)}, 0.0
        return found

    def state_dict(self):
        return {"sum": self.sum}

    def load_state_dict(self, state):
        self.sum = state["sum"]

    def run(self):
        """The epoch kept, the curve, and the bytes of all weights."""
        curve, kept = train(self, self.optimiser, self.schedule, EPOCHS, **self.stops, checkpoint=self.checkpoint)
        return kept, curve, {name: value.numpy().tobytes() for name, value in self.model.state_dict().items()}


@pytest.mark.parametrize("every_step", [True, False], ids=["every step", "every epoch"])
@pytest.mark.parametrize("options", [{}, {"patience": 1}, {"keep": "last"}], ids=str)
def test_a_training_cut_short_at_any_step_ends_with_the_same_bytes(tmp_path, every_step, options):
    whole = World(tmp_path / "whole", **options)
    wanted = whole.run()
    last = 3 if "patience" in options else EPOCHS
    assert whole.done == last * STEPS and len(wanted[1]) == last
    for kill in range(whole.done):
        folder = tmp_path / f"cut-{kill}"
        first = World(folder, every_step=every_step, **options)
        first.kill_at = kill
        with pytest.raises(Killed):
            first.run()
        kept = kill if every_step else kill // STEPS * STEPS
        # Other first weights: none of them may stay.
        second = World(folder, seed=99 if kept else 0, every_step=every_step, **options)
        assert second.run() == wanted, f"killed before step {kill + 1}"
        assert second.done == whole.done - kept, "steps were done again that a checkpoint held"


def test_a_training_can_be_cut_short_many_times(tmp_path):
    wanted = World(tmp_path / "whole").run()
    for kill in (2, 0, 1, 4, 3):
        world = World(tmp_path / "cut")
        world.kill_at = kill
        with pytest.raises(Killed):
            world.run()
    last = World(tmp_path / "cut")
    assert last.run() == wanted and last.done == EPOCHS * STEPS - 10


def test_a_training_that_ended_before_its_outputs_were_written_is_not_repeated(tmp_path):
    wanted = World(tmp_path).run()
    again = World(tmp_path, seed=5)
    assert again.run() == wanted and again.done == 0


def test_without_time_or_the_end_of_an_epoch_nothing_is_written(tmp_path):
    world = World(tmp_path, every_step=False)
    world.kill_at = STEPS - 1
    with pytest.raises(Killed):
        world.run()
    assert not list(tmp_path.glob("*"))


def test_only_the_last_checkpoint_is_there_and_the_log_says_where_it_goes_on(tmp_path, caplog):
    world = World(tmp_path)
    world.kill_at = 5
    with pytest.raises(Killed):
        world.run()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["key-000000005.pt", "key-000000005.pt.sha256"]
    with caplog.at_level(logging.INFO):
        World(tmp_path).run()
    assert "made up resumes after step 5: epoch 2, step 2" in caplog.text


@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
def test_a_loss_that_is_not_finite_names_the_step_and_the_last_good_checkpoint(tmp_path, bad):
    world = World(tmp_path)
    world.losses = {5: bad}
    weights = {}
    inner = world.loss

    def loss(batch):
        weights[world.done] = world.model[0].weight.detach().clone()
        return inner(batch)

    world.loss = loss
    with pytest.raises(UserError) as caught:
        world.run()
    assert str(caught.value) == (
        f"made up: the loss of step 5 (epoch 2, step 2 of 3) is {bad}, "
        "expected finite numbers: lower the learning rate; "
        f"last good checkpoint: that of step 4, {tmp_path / 'key-000000004.pt'}"
    )
    assert torch.equal(world.model[0].weight, weights[4]), "the step with the bad loss must not move a weight"


def test_weights_that_are_not_finite_are_no_checkpoint(tmp_path):
    world = World(tmp_path)
    world.model[0].weight.register_hook(lambda slope: slope * (float("nan") if world.done == 4 else 1))
    world.max_grad_norm = None
    with pytest.raises(UserError, match=r"after step 4 \(epoch 2\) a weight is nan or infinite.*that of step 3, "):
        world.run()
    assert Checkpoint(tmp_path, "key").latest == 3


def test_losses_are_read_together_where_each_read_waits(tmp_path, monkeypatch):
    """As on a GPU: the same sums, and the right step in the message, with a read after every second loss only."""

    def run(folder, **losses):
        world = World(folder, every_step=False)
        world.losses = losses.get("losses", {})
        seen = []

        class Elsewhere(TrainingLoop):
            def __init__(self, *args):
                super().__init__(*args)
                self.device = SimpleNamespace(type="elsewhere")

            def flush_losses(self, steps):
                seen.append(len(self.pending))
                super().flush_losses(steps)

        monkeypatch.setattr(loop, "TrainingLoop", Elsewhere)
        monkeypatch.setattr(loop, "FLUSH_EVERY", 2)
        return world, seen

    monkeypatch.setattr(resume, "SECONDS", 1e9)
    wanted = World(tmp_path / "whole", every_step=False).run()
    world, seen = run(tmp_path / "elsewhere")
    assert world.run() == wanted and seen == [2, 1] * EPOCHS
    world, _ = run(tmp_path / "bad", losses={4: float("nan")})
    with pytest.raises(UserError, match=r"loss of step 4 \(epoch 2, step 1 of 3\) is nan.*that of step 3, "):
        world.run()


# What is kept, and when it is taken


def test_files_of_another_key_are_removed_and_the_log_says_so(tmp_path, caplog):
    Store(tmp_path, "old").write(3, {"a": 1})
    (tmp_path / ".old-000000004.pt.77.tmp").write_bytes(b"cut short")
    with caplog.at_level(logging.INFO):
        assert Checkpoint(tmp_path, "new").load() is None
    assert not list(tmp_path.iterdir())
    assert caplog.messages == [f"{tmp_path}: removing checkpoints of other parameters, inputs or code"]
    Store(tmp_path, "new")
    assert len(caplog.messages) == 1


@pytest.mark.parametrize("harm", ["flip", "cut", "empty", "gone", "no hash", "hash of nothing"])
def test_a_damaged_checkpoint_is_not_used(tmp_path, harm, caplog):
    kept = Checkpoint(tmp_path, "key")
    kept.write(1, {"weights": torch.arange(100.0)})
    kept.write(2, {"weights": torch.arange(100.0) + 1})
    path, mark = kept.path(2), Path(f"{kept.path(2)}.sha256")
    content = bytearray(path.read_bytes())
    if harm == "flip":
        content[len(content) // 2] ^= 1
    if harm in ("flip", "cut", "empty"):
        path.write_bytes({"flip": content, "cut": content[:-200], "empty": b""}[harm])
    elif harm == "gone":
        path.unlink()
    elif harm == "no hash":
        mark.unlink()
    else:
        mark.write_text("")
    found = Checkpoint(tmp_path, "key").load()
    assert torch.equal(found["weights"], torch.arange(100.0)), "the one before is whole"
    if harm != "no hash":  # a kill left it so: it was never a checkpoint
        assert f"{path} cannot be used, its work is repeated" in caplog.text


def test_a_file_that_would_run_code_is_not_read(tmp_path, caplog):
    class Evil:
        def __reduce__(self):
            return (open, (str(tmp_path / "ran"), "w"))

    kept = Checkpoint(tmp_path, "key")
    kept.write(1, Evil())
    assert kept.load() is None and not (tmp_path / "ran").exists()
    assert "cannot be used" in caplog.text


def test_parts_are_made_once_and_kept(tmp_path, caplog):
    made = []

    def make(number):
        made.append(number)
        if number == 2 and len(made) == 3:
            raise Killed
        return {"rows": torch.full((2,), float(number))}

    def run():
        parts = Parts(tmp_path, "key")
        return [
            parts.get_or_compute(number, lambda number=number: make(number))["rows"].tolist() for number in range(4)
        ]

    with pytest.raises(Killed):
        run()
    with caplog.at_level(logging.INFO):
        assert run() == [[0, 0], [1, 1], [2, 2], [3, 3]]
    assert made == [0, 1, 2, 2, 3]
    assert f"{tmp_path}: found 2 parts of an earlier run" in caplog.text
    Parts(tmp_path, "key").remove()
    assert not tmp_path.exists()
    clear(tmp_path)  # nothing there: nothing to do


# Keys


def made_inputs(folder):
    (folder / "texts").mkdir(parents=True, exist_ok=True)
    (folder / "texts" / "de.txt").write_text("ein Kreis\n")
    (folder / "rows.jsonl").write_text("{}\n")
    return {"rows": folder / "rows.jsonl", "texts": folder / "texts"}


VALUES = {"lr": 0.1, "autoencoder": AutoencoderParams(lr=0.1, weight_decay=0, batch_size=2, epochs=1), "seeds": [1]}
CHOSEN = {"seed": 0, "model": "clip_ve"}
STAGE = "clseave.stages.autoencoder"


def key(inputs, values=VALUES, stage=STAGE, chosen=CHOSEN):
    return key_of(stage, inputs, view(*values)(**values), **chosen)


def test_a_key_depends_on_what_is_computed_and_not_on_where(tmp_path):
    first = key(made_inputs(tmp_path / "one"))
    assert len(first) == 16 and int(first, 16) >= 0
    assert key(made_inputs(tmp_path / "another")) == first


@pytest.mark.parametrize(
    "change",
    [
        "file",
        "name of a file",
        "file more",
        "seed",
        "model",
        "value",
        "nested value",
        "list",
        "stage",
        "library",
        "code",
    ],
)
def test_a_key_changes_with_each_thing_that_the_work_depends_on(tmp_path, monkeypatch, change):
    inputs, values, stage, chosen = made_inputs(tmp_path), dict(VALUES), STAGE, dict(CHOSEN)
    before = key(inputs)
    if change == "file":
        (tmp_path / "texts" / "de.txt").write_text("ein Kreiz\n")
    elif change == "name of a file":
        (tmp_path / "texts" / "de.txt").rename(tmp_path / "texts" / "nl.txt")
    elif change == "file more":
        (tmp_path / "texts" / "nl.txt").write_text("")
    elif change in ("seed", "model"):
        chosen[change] = {"seed": 1, "model": "image_only"}[change]
    elif change == "value":
        values["lr"] = 0.2
    elif change == "nested value":
        values["autoencoder"] = values["autoencoder"].model_copy(update={"batch_size": 3})
    elif change == "list":
        values["seeds"] = [2]
    elif change == "stage":
        stage = "clseave.stages.clteave"
    elif change == "library":
        monkeypatch.setattr(resume, "version", lambda name: "9.9" if name == "torch" else "1.0")
    else:
        monkeypatch.setattr(resume, "fingerprint", lambda files: "changed")
    assert key(inputs, values, stage, chosen) != before


def test_a_checkpoint_is_written_beside_the_training(tmp_path):
    checkpoint, weights = Checkpoint(tmp_path / "folder", "key"), torch.zeros(3)
    checkpoint.save(1, {"module": {"weights": weights}, "list": [weights], "rest": (1, None, "text")})
    weights += 1  # the training goes on
    assert checkpoint.latest == 1
    state = checkpoint.load()
    assert state["module"]["weights"].tolist() == state["list"][0].tolist() == [0, 0, 0]
    assert state["rest"] == (1, None, "text")


def test_what_goes_wrong_while_writing_is_told(tmp_path):
    folder = tmp_path / "folder"
    checkpoint = Checkpoint(folder, "key")
    folder.write_text("no folder")
    checkpoint.save(1, {"module": {}})
    with pytest.raises(UserError, match="is a file where a folder is expected"):
        checkpoint.save(2, {"module": {}})
    checkpoint.wait_for_write()  # the error is raised once
