"""Loggers of a training: each is given what it shows and its files are read back; none changes or stops a training."""

import importlib.util
import json
import logging
import random
import struct
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from made_up import MadeUp
from torch import nn

from clseave.foundation.errors import UserError
from clseave.foundation.process.resume import Checkpoint, begin
from clseave.foundation.settings import loggers as setting
from clseave.foundation.settings.schema import AutoencoderParams
from clseave.training import loggers
from clseave.training.loop import train
from clseave.training.optimiser import make_optimiser
from views import view

ROOT = Path(__file__).resolve().parents[3]
PLACE = Path("models", "mini", "clseave", "de", "seed0")
EPOCHS, STEPS = 3, 4
SETTINGS = {"clseave": {"epochs": 3, "lora": None, "keep": "best"}, "seed": 0, "languages": ["de", "nl"]}


def needs(*names):
    absent = [name for name in names if importlib.util.find_spec(name) is None]
    return pytest.mark.skipif(bool(absent), reason=f"{' and '.join(absent)}: not installed, run `make setup`")


EACH = [pytest.param(name, marks=needs(name)) for name in setting.KNOWN]


class Killed(BaseException):
    """Stands for SIGKILL."""


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path, monkeypatch):
    """The working folder is a repository of its own."""
    monkeypatch.chdir(tmp_path)
    for name in (setting.VARIABLE, "WANDB_MODE", "WANDB_PROJECT", "DVC_ROOT"):
        monkeypatch.delenv(name, raising=False)


def fitted(*, kill_at=None, key="0123456789abcdef", save=False, place=PLACE):
    """A training with dropout and shuffled rows; killed in step `kill_at`, counted from 1."""
    torch.manual_seed(3)
    draws = np.random.default_rng(4)
    inputs = torch.from_numpy(draws.normal(size=(STEPS * 5, 3))).float()
    module, done = nn.Sequential(nn.Linear(3, 4), nn.Dropout(0.3), nn.Linear(4, 3)), []
    checkpoint = Checkpoint(loggers.CHECKPOINTS / place, key, SETTINGS)
    checkpoint.seconds = 0.0 if save else 1e9

    def loss(rows):
        done.append(len(rows))
        if len(done) == kill_at:
            raise Killed
        return (module(inputs[rows]) - inputs[rows]).square().mean()

    objective = MadeUp(
        "made up",
        module,
        lambda epoch: np.random.default_rng([5, epoch]).permutation(STEPS * 5).reshape(STEPS, 5),
        loss,
        lambda: {"dev_loss": float((module(inputs) - inputs).square().mean())},
    )
    made = make_optimiser([{"params": module.parameters(), "lr": 0.05}], 0.1, EPOCHS * STEPS, 0.25, "linear")
    curve, kept = train(objective, *made, EPOCHS, checkpoint=checkpoint)
    weights = [value.numpy().tobytes() for value in module.state_dict().values()]
    return SimpleNamespace(curve=curve, kept=kept, weights=weights, folder=run_folder(place, key))


def run_folder(place=PLACE, key="0123456789abcdef"):
    return loggers.FOLDER / place / key


# What each logger's own files hold: {name: {step: value}} and the settings.


def read_tensorboard(folder):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
    from tensorboard.plugins.hparams.plugin_data_pb2 import HParamsPluginData

    found = EventAccumulator(str(folder), size_guidance={"scalars": 0}).Reload()
    values = {name: {one.step: one.value for one in found.Scalars(name)} for name in found.Tags()["scalars"]}
    start = found.SummaryMetadata("_hparams_/session_start_info").plugin_data.content
    hparams = HParamsPluginData.FromString(start).session_start_info.hparams
    return values, {name: getattr(one, one.WhichOneof("kind")) for name, one in hparams.items()}


def read_wandb(folder):
    """W&B's offline files: records of protobuf in the format of LevelDB's log (length and type before each)."""
    from wandb.proto.wandb_internal_pb2 import Record

    values, config = {}, {}
    for path in sorted(folder.glob("wandb/offline-run-*/run-*.wandb")):
        data, at = path.read_bytes(), 7
        while at + 7 <= len(data):
            length, kind = struct.unpack_from("<HB", data, at + 4)
            assert kind == 1, "a record longer than what this reads"
            record, at = Record.FromString(data[at + 7 : at + 7 + length]), at + 7 + length
            for item in record.history.item:
                name = item.key or item.nested_key[0]
                if not name.startswith("_"):
                    values.setdefault(name, {})[record.history.step.num] = json.loads(item.value_json)
            config |= {item.key: json.loads(item.value_json) for item in record.run.config.update if item.key}
    return values, config


def read_dvclive(folder):
    from ruamel.yaml import YAML

    values = {}
    for path in folder.glob("plots/metrics/*.tsv"):
        rows = [line.split("\t") for line in path.read_text(encoding="utf-8").splitlines()]
        assert rows[0] == ["step", path.stem] and len({row[0] for row in rows}) == len(rows), "a step was logged twice"
        values[path.stem] = {int(step): float(value) for step, value in rows[1:]}
    return values, YAML(typ="safe").load(folder / "params.yaml")


READ = {"tensorboard": read_tensorboard, "wandb": read_wandb, "dvclive": read_dvclive}
FLAT = {"clseave.epochs": 3, "clseave.lora": "null", "clseave.keep": "best", "seed": 0, "languages": '["de", "nl"]'}
SHOWN = {"tensorboard": FLAT, "wandb": SETTINGS, "dvclive": SETTINGS}


def check_all_is_there(name, done):
    """Each epoch's row under the names of the curve, each step's loss, and pairs a second."""
    values, settings = READ[name](done.folder / name)
    assert SHOWN[name].items() <= settings.items()
    assert set(values) == {*done.curve[0], "pairs_per_second", "step_loss"}
    ends = [STEPS * row["epoch"] for row in done.curve]
    for column in done.curve[0]:
        assert list(values[column]) == ends
        assert list(values[column].values()) == pytest.approx([row[column] for row in done.curve], rel=1e-6), column
    assert list(values["step_loss"]) == list(range(1, EPOCHS * STEPS + 1))
    means = np.reshape(list(values["step_loss"].values()), (EPOCHS, STEPS)).mean(axis=1)
    assert means == pytest.approx([row["train_loss"] for row in done.curve], abs=1e-6)
    assert min(values["pairs_per_second"].values()) > 0


@pytest.mark.parametrize("name", EACH)
def test_each_logger_shows_the_curve_the_losses_and_the_settings_and_changes_no_byte(name, monkeypatch, caplog):
    without = fitted(place=PLACE / "without")
    assert not Path(".work", "logs").exists(), "off by default"
    monkeypatch.setenv(setting.VARIABLE, name)
    hooks, states = (sys.exit, sys.excepthook), []
    monkeypatch.setattr(loggers.Loggers, "__exit__", spied(loggers.Loggers.__exit__, states))
    with caplog.at_level(logging.WARNING):
        done = fitted()
    assert (done.curve, done.kept, done.weights) == (without.curve, without.kept, without.weights)
    assert states[0] == states[1] and (sys.exit, sys.excepthook) == hooks
    assert [record for record in caplog.records if record.name.startswith("clseave")] == []
    check_all_is_there(name, done)


def spied(close, states):
    """Note the random state before and after the loggers are closed."""

    def state():
        return random.getstate(), str(np.random.get_state()), torch.get_rng_state().tolist()

    def wrapped(*args):
        states.append(state())
        close(*args)
        states.append(state())

    return wrapped


@pytest.mark.parametrize("name", EACH)
def test_starting_a_logger_and_logging_draw_no_random_number(name, tmp_path):
    before = random.getstate(), str(np.random.get_state()), torch.get_rng_state().tolist()
    logger = loggers.LOGGERS[name](tmp_path / name, "a/b", SETTINGS, 0)
    logger.log({"dev_loss": 0.5, "epoch": 1}, 3)
    logger.close(failed=False)
    assert before == (random.getstate(), str(np.random.get_state()), torch.get_rng_state().tolist())
    assert READ[name](tmp_path / name)[0] == {"dev_loss": {3: 0.5}, "epoch": {3: 1}}


@pytest.mark.parametrize("name", EACH)
@pytest.mark.parametrize("kill_at", [2, 7])
def test_a_resumed_training_goes_on_at_its_step(name, kill_at, monkeypatch):
    """Killed in the first epoch, where nothing was saved, and in the second; both runs together show each step once."""
    undisturbed = fitted(place=PLACE / "undisturbed")
    monkeypatch.setenv(setting.VARIABLE, name)
    with pytest.raises(Killed):
        fitted(kill_at=kill_at)
    if name == "wandb":
        time.sleep(1.1)  # its folders are named by the second
    done = fitted()
    assert (done.curve, done.weights) == (undisturbed.curve, undisturbed.weights)
    if name == "wandb":
        ids = {path.name.rpartition("-")[2] for path in (done.folder / name).glob("wandb/offline-run-*")}
        assert len(ids) == (2 if kill_at == 2 else 1), "a resumed training keeps its run, a new one has another"
        if kill_at == 2:
            return
    check_all_is_there(name, done)


def test_other_trainings_and_other_settings_have_folders_of_their_own():
    names = [
        loggers.name_of(loggers.CHECKPOINTS / "models" / "mini" / "clseave" / end) for end in ("de/seed0", "de/seed1")
    ]
    assert names == ["models/mini/clseave/de/seed0", "models/mini/clseave/de/seed1"]
    assert loggers.name_of(Path("/a/b")) == "a/b"
    options = AutoencoderParams(epochs=2, batch_size=4, lr=0.1, weight_decay=0.0)
    values = view("autoencoder")(autoencoder=options)
    made = [begin(Path("x"), "clseave.stages.autoencoder", {}, values, seed=seed) for seed in (0, 1)]
    assert made[0].key != made[1].key
    assert made[1].settings["seed"] == 1 and made[1].settings["autoencoder"]["epochs"] == 2


def test_the_folder_is_ignored_by_git():
    subprocess.run(["git", "check-ignore", "--quiet", run_folder() / "wandb" / "file"], cwd=ROOT, check=True)


# What may go wrong


class Failing:
    """Fails as `where` says."""

    def __init__(self, where, *_):
        self.where, self.calls = where, []
        self.act("start")

    def act(self, what):
        self.calls.append(what)
        if what == self.where:
            raise OSError(28, "No space left on device")

    def log(self, values, step):
        self.act("log")

    def close(self, *, failed):
        self.act("close")


@pytest.mark.parametrize("where", ["start", "log", "close"])
def test_a_logger_that_fails_warns_once_and_the_training_goes_on(where, monkeypatch, caplog):
    monkeypatch.setattr(loggers, "chosen", lambda: ["wandb", "dvclive"])
    sound = Failing("never")
    monkeypatch.setitem(loggers.LOGGERS, "wandb", lambda *args: Failing(where, *args))
    monkeypatch.setitem(loggers.LOGGERS, "dvclive", lambda *_: sound)
    without = fitted(place=PLACE / "without", key="other")
    caplog.clear()
    sound.calls.clear()
    with caplog.at_level(logging.WARNING):
        done = fitted()
    assert (done.curve, done.weights) == (without.curve, without.weights)
    lines = [record.message for record in caplog.records if record.levelno == logging.WARNING]
    assert lines == ["wandb failed, the training goes on without it: [Errno 28] No space left on device"]
    assert sound.calls == ["log"] * (EPOCHS * STEPS + EPOCHS) + ["close"]


def test_a_training_that_fails_ends_its_loggers_as_failed(monkeypatch):
    told = []
    made = SimpleNamespace(log=lambda *_: None, close=lambda **about: told.append(about))
    monkeypatch.setattr(loggers, "chosen", lambda: ["wandb"])
    monkeypatch.setitem(loggers.LOGGERS, "wandb", lambda *_: made)
    with pytest.raises(Killed):
        fitted(kill_at=3)
    fitted()
    assert told == [{"failed": True}, {"failed": False}]


def test_only_the_first_of_several_processes_logs(monkeypatch):
    monkeypatch.setenv(setting.VARIABLE, "tensorboard")
    monkeypatch.setattr(loggers.ranks, "first", lambda: False)
    monkeypatch.setattr(loggers, "chosen", lambda: pytest.fail("asked"))
    assert loggers.start(Checkpoint(loggers.CHECKPOINTS / PLACE, "key"), 0).running == {}


@pytest.mark.parametrize(
    ("value", "found"),
    [("", []), (" , ", []), ("wandb", ["wandb"]), (" dvclive, wandb,dvclive ,", ["dvclive", "wandb"])],
)
def test_the_setting_is_a_list(value, found, monkeypatch):
    monkeypatch.setattr(setting, "find_spec", lambda name: name)
    assert setting.chosen({setting.VARIABLE: value}) == found
    assert setting.chosen({}) == []


def test_an_unknown_logger_and_a_missing_package_are_refused_before_any_work(monkeypatch):
    known = "allowed: dvclive, tensorboard, wandb, or several of them separated by commas; did you mean tensorboard?"
    with pytest.raises(UserError, match=f"^CLSEAVE_LOGGERS: found 'Tensorbord', {known}$".replace("?", r"\?")):
        setting.chosen(
            {setting.VARIABLE: "wandb,Tensorbord"} if setting.find_spec("wandb") else {setting.VARIABLE: "Tensorbord"}
        )
    monkeypatch.setattr(setting, "find_spec", lambda name: None)
    with pytest.raises(UserError, match=r"^CLSEAVE_LOGGERS: wandb is not installed: `pip install wandb`, or 'clseave"):
        setting.chosen({setting.VARIABLE: "wandb"})


@pytest.mark.parametrize("stage", ["check", "finetune_clip_ve"])
def test_make_check_and_each_stage_refuse_it_with_one_line(stage, monkeypatch, capsys):
    from clseave.foundation.process import entry

    monkeypatch.setenv(setting.VARIABLE, "mlflow")
    monkeypatch.setattr(entry, "prepare", lambda: None)
    monkeypatch.setattr(entry, "load", lambda name: pytest.fail("was started"))
    assert entry.main([stage]) == 2
    assert capsys.readouterr().err.startswith("error: CLSEAVE_LOGGERS: found 'mlflow', allowed: dvclive")


def test_commands_do_not_look_at_it(monkeypatch):
    from clseave.foundation.process import entry

    monkeypatch.setenv(setting.VARIABLE, "mlflow")
    monkeypatch.setattr(entry, "prepare", lambda: None)
    monkeypatch.setattr(entry, "load", lambda name: SimpleNamespace(main=lambda argv: None))
    assert entry.main(["predict"]) == 0
