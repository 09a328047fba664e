"""Several processes on one training: real groups of two over gloo, started by torchrun, against one process."""

import csv
import hashlib
import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from contextlib import ExitStack
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import processes
import pytest
import small_students
import torch
from safetensors.torch import load_file
from small_students import ROOT, argv
from test_single_instance import gone
from torch import nn
from torch.nn import functional

from clseave.foundation.errors import UserError
from clseave.foundation.process import distributed, numerics, ranks
from clseave.foundation.process.resume import VARIABLE, key_of
from clseave.models.student import Student
from clseave.stages import clseave, clteave
from views import view

STAGES = {"clseave": clseave, "clteave": clteave}
TORCHRUN = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node"]
TWO = {ranks.LAUNCHED: "a run", "WORLD_SIZE": "2", "RANK": "1", "LOCAL_RANK": "1", "LOCAL_WORLD_SIZE": "2"}
NAMES = sorted(path.stem for name in ("stages", "commands") for path in (ROOT / "src/clseave" / name).glob("[a-z]*.py"))


def start(count, *command, cwd, **more):
    """torchrun with this many processes, in a process group of its own."""
    return subprocess.Popen(
        [*TORCHRUN, str(count), *map(str, command)],
        cwd=cwd,
        env={key: value for key, value in os.environ.items() if key not in numerics.PINS} | more,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )


def said(process, code=0):
    """What it said until its end."""
    text, _ = process.communicate(timeout=300)
    assert process.returncode == code, text
    return text


def curve(path):
    with open(path) as lines:
        return [{key: float(value) for key, value in row.items()} for row in csv.DictReader(lines)]


def weights(folder):
    return {name: value for path in folder.glob("*.safetensors") for name, value in load_file(path).items()}


def files(folder, out):
    """Hash of every output whose path begins with `out`."""
    found = [*folder.glob(f"{out}.*"), *(folder / out).rglob("*")]
    return {
        str(path.relative_to(folder)).removeprefix(out): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in found
        if path.is_file()
    }


def free_ports(count):
    """Numbers that nobody uses now."""
    with ExitStack() as stack:
        held = [stack.enter_context(socket.create_server(("127.0.0.1", 0))) for _ in range(count)]
        return [one.getsockname()[1] for one in held]


# Without torchrun, or before a group is there


@pytest.mark.parametrize("environment", [{}, {"WORLD_SIZE": "8", "RANK": "3", "LOCAL_RANK": "3"}], ids=str)
def test_without_torchrun_there_is_one_process(environment):
    assert (ranks.size(environment), ranks.rank(environment), ranks.local_rank(environment)) == (1, 0, 0)
    assert ranks.first(environment) and ranks.one_machine(environment)
    for name in NAMES:
        ranks.require_one(name, environment)


def test_torchrun_says_which_process_this_is():
    assert (ranks.size(TWO), ranks.rank(TWO), ranks.local_rank(TWO)) == (2, 1, 1)
    assert ranks.one_machine(TWO) and not ranks.first(TWO)
    assert not ranks.one_machine(TWO | {"WORLD_SIZE": "4"})


@pytest.mark.parametrize("name", NAMES)
def test_every_stage_that_cannot_share_its_work_refuses_with_the_reason(name):
    if name in ranks.SHARED:
        ranks.require_one(name, TWO)
        return
    with pytest.raises(UserError) as caught:
        ranks.require_one(name, TWO)
    normed = name in ("finetune_clip_ve", "finetune_baseline")
    why = "the batch norm of its head takes mean and variance over a whole batch" if normed else "write the same files"
    assert str(caught.value).startswith(f"{name}: found 2 processes, expected one: ") and why in str(caught.value)


def test_the_stages_that_are_admitted_are_those_that_join_a_group():
    joins = [name for name in NAMES for path in (ROOT / "src/clseave").glob(f"*/{name}.py")
             if "distributed.start(" in path.read_text()]  # fmt: skip
    assert tuple(joins) == ranks.SHARED


def test_one_process_computes_what_it_did():
    ours, theirs = torch.randn(5, 3, requires_grad=True), torch.randn(5, 3)
    found, wanted = distributed.squared_error(ours, theirs, 5), functional.mse_loss(ours, theirs)
    assert torch.equal(found, wanted) and found.grad_fn.name() == wanted.grad_fn.name()
    rows, step = np.arange(3), len
    assert distributed.share(rows) is rows
    assert distributed.parallel(nn.Linear(1, 1), step) is step
    assert distributed.start(torch.device("cpu")) == torch.device("cpu") and not torch.distributed.is_initialized()


def test_each_process_has_a_gpu_of_its_own():
    assert distributed._own_gpu(1, 2) == torch.device("cuda", 1)
    with pytest.raises(UserError, match="found 2 GPUs on this machine for process 3, expected one for each process"):
        distributed._own_gpu(2, 2)


def test_a_checkpoint_belongs_to_a_number_of_processes(monkeypatch):
    """Sums of another order are other numbers: they are not mixed."""

    def key():
        return key_of("clseave.stages.clseave", {}, view("lr")(lr=0.1), seed=0)

    alone = key()
    for name, value in TWO.items():
        monkeypatch.setenv(name, value)
    two = key()
    monkeypatch.setenv("RANK", "0")
    assert key() == two != alone
    monkeypatch.setenv("WORLD_SIZE", "1")
    assert key() == alone


# Two processes: the group shares what they learnt.

pytestmark = pytest.mark.xdist_group("distributed")


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    """Inputs without dropout, and with it."""
    made = {}
    for name, dropout in (("exact", 0.0), ("dropout", 0.2)):
        made[name] = small_students.make(tmp_path_factory.mktemp(name), dropout=dropout)
    return SimpleNamespace(**made)


@pytest.fixture(scope="module")
def one(folders):
    """Both stages in one process."""
    for name, stage in STAGES.items():
        stage.main(argv(folders.exact, name, f"one-{name}"))
    return folders.exact


@pytest.fixture(scope="module")
def two(folders):
    """Both stages in two processes, and CLSEAVE with dropout; what each process found besides."""
    plan = [(name, argv(folders.exact, name, f"two-{name}")) for name in STAGES]
    plan.append(("clseave", argv(folders.dropout, "clseave", "whole")))
    (folders.exact / "plan.json").write_text(json.dumps({"stages": plan, "ports": free_ports(len(plan) + 1)}))
    text = said(start(2, processes.__file__, folders.exact, cwd=folders.exact))
    found = [json.loads((folders.exact / f"found-{number}.json").read_text()) for number in range(2)]
    return SimpleNamespace(exact=folders.exact, dropout=folders.dropout, found=found, text=text)


@pytest.mark.slow
@pytest.mark.parametrize("stage", STAGES)
def test_two_processes_learn_what_one_learns(one, two, stage):
    """50 steps on batches of 20 and 21 rows, so that shares are unequal, and words more so."""
    ours, theirs = weights(one / f"one-{stage}/{stage}"), weights(two.exact / f"two-{stage}/{stage}")
    assert ours.keys() == theirs.keys()
    moved = {name: (value - theirs[name]).abs().max().item() for name, value in ours.items()}
    # The same number added to all keys of a row cancels in the softmax: the gradient of a key's bias is rounding alone,
    # and AdamW makes steps of any size of it.
    without_effect = {name for name in moved if name.endswith("attention.self.key.bias")}
    assert len(without_effect) == 2
    assert max(value for name, value in moved.items() if name not in without_effect) <= 1e-6
    rows, others = curve(one / f"one-{stage}.csv"), curve(two.exact / f"two-{stage}.csv")
    assert len(rows) == 5 and rows[-1]["epoch"] == 5
    for row, other in zip(rows, others, strict=True):
        assert other == pytest.approx(row, rel=2e-6, abs=2e-6)


@pytest.mark.slow
def test_students_of_one_and_of_two_processes_say_the_same(one, two):
    """Key biases included."""
    texts = ["Ein roter Kreis ist oben links", "Der Kreis"]
    said = []
    for folder in (one / "one-clseave/clseave", two.exact / "two-clseave/clseave"):
        student = Student.load(folder)
        encoded = student.tokenizer(texts, padding=True, return_tensors="pt")
        with torch.no_grad():
            said.append(student(encoded.input_ids, encoded.attention_mask))
    assert torch.allclose(*said, atol=1e-6) and said[0].abs().max() > 0.1


@pytest.mark.slow
def test_uneven_and_empty_shares_have_their_weight(two):
    torch.set_num_threads(1)
    values, rows = processes.made_up()
    for number, found in enumerate(two.found):
        assert np.allclose(found["weights"], values, rtol=0, atol=1e-6)
        assert found["curve"] == [pytest.approx(row, abs=2e-6) for row in rows], "the first process's dev loss"
        assert found["share"] == [[0, 2, 4], [1, 3]][number]
        assert found["uneven"] == pytest.approx((1 + 0 + 1 + 4 + 9 + 16) / 6)
        assert (found["first"], found["gathered"]) == ({"rank": 0}, [[0, 7], [1, 7]])
        assert found["mean"] == [False, True]
    assert two.found[0]["weights"] == two.found[1]["weights"]


@pytest.mark.slow
def test_each_process_draws_numbers_of_its_own(two):
    first, second = (found["draws"] for found in two.found)
    assert not set(first) & set(second)


@pytest.mark.slow
def test_a_loss_that_is_no_number_in_one_process_stops_both_at_the_same_step(two):
    first, second = (found["error"] for found in two.found)
    assert first == second
    assert first.startswith("made up: the loss of step 1 (epoch 1, step 1 of 5) is nan, expected finite numbers")


@pytest.mark.slow
def test_one_process_under_torchrun_leaves_the_same_bytes(one):
    command = [ROOT / "src/run.py", "clseave", *argv(one, "clseave", "alone")]
    assert said(start(1, *command, cwd=one)).count("CLSEAVE 1/5") == 1
    assert files(one, "alone") == files(one, "one-clseave") and len(files(one, "alone")) > 5


@pytest.mark.slow
def test_two_processes_killed_go_on_to_the_same_bytes_and_one_speaks_and_writes(two):
    """torchrun is killed, which ends its processes no more than it does any other program's."""
    folder = two.dropout
    command = [ROOT / "src/run.py", "clseave", *argv(folder, "clseave", "cut")]
    process = start(2, *command, cwd=folder, **{VARIABLE: "0"})
    unfinished, end = folder / "cut-unfinished", time.monotonic() + 200
    while not (done := [int(path.name[-16:-10]) for path in unfinished.glob("*.pt.sha256")]) or max(done) < 13:
        assert process.poll() is None and time.monotonic() < end, process.communicate()
        time.sleep(0.01)
    workers = [int(word) for word in Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()]
    assert len(workers) >= 2
    os.kill(process.pid, signal.SIGKILL)
    process.communicate(timeout=60)
    assert all(gone(worker) for worker in workers), "an orphan goes on"
    assert not (folder / "cut").exists()
    text = said(start(2, *command, cwd=folder))
    (step,) = map(int, re.findall(r"CLSEAVE resumes after step (\d+)", text))
    assert step >= 13
    assert len(re.findall(r"^CLSEAVE 5/5 ", text, re.MULTILINE)) == 1, "one process logs"
    assert files(folder, "cut") == files(folder, "whole") and len(files(folder, "cut")) > 5
    assert not unfinished.exists()


@pytest.mark.slow
def test_a_process_that_fails_alone_ends_the_other(folders, tmp_path):
    """As where a file is missing on one machine: the other waits for it at its first step, or before."""
    program = tmp_path / "program.py"
    words = [str(word) for word in argv(folders.exact, "clseave", "failed")]
    program.write_text(
        "import os, runpy, sys\n"
        f"sys.argv = ['run.py', 'clseave', *{words!r}]\n"
        "if os.environ['RANK'] == '1':\n"
        "    sys.argv[sys.argv.index('--translations') + 1] = 'absent.jsonl'\n"
        f"runpy.run_path({str(ROOT / 'src/run.py')!r}, run_name='__main__')\n"
    )
    text = said(start(2, program, cwd=tmp_path), code=1)
    assert text.count("error: absent.jsonl does not exist: run the stage that writes it") == 1
    assert text.count("error: ") == 1, text
    assert not (folders.exact / "failed").exists()


@pytest.mark.slow
def test_a_stage_for_one_process_says_so_once_and_in_time(tmp_path):
    text = said(start(2, ROOT / "src/run.py", "finetune_clip_ve", cwd=tmp_path), code=1)
    assert text.count("error: finetune_clip_ve: found 2 processes, expected one: the batch norm of its head") == 1
