"""A program for torchrun: the stages of a plan one after another, then what else a group of processes must do.

`processes.py FOLDER`: `plan.json` there lists stages and their arguments, and free ports; each process leaves
`found-RANK.json`.
"""
# ruff: noqa: E402, since the numerics are pinned before anything else loads

import importlib
import json
import os
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "src"))

from clseave.foundation.process import numerics

numerics.pin()

import numpy as np
import torch
from made_up import MadeUp
from torch import nn

from clseave.foundation.errors import UserError
from clseave.foundation.process import distributed, ranks
from clseave.training.loop import train
from clseave.training.optimiser import make_optimiser

SIZES = (5, 1, 3, 2, 1)  # of the batches: unequal shares, and empty ones


def made_up(bad: int | None = None) -> tuple[list[float], list[dict[str, float]]]:
    """Weights and curve of a small training; the loss of row `bad` is no number."""
    torch.manual_seed(1)
    draws = np.random.default_rng(2)
    inputs, wanted = (torch.from_numpy(draws.normal(size=(sum(SIZES), 3))).float() for _ in range(2))
    if bad is not None:
        inputs[bad] = float("nan")
    module = nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 3))

    def step(rows: np.ndarray) -> torch.Tensor:
        mine = distributed.share(rows)
        assert len(mine) > 0, "a process without a share need not compute one"
        return distributed.squared_error(module(inputs[mine]), wanted[mine], len(rows))

    def batches(epoch: int) -> list[np.ndarray]:
        return np.split(np.arange(sum(SIZES)), np.cumsum(SIZES)[:-1])

    objective = MadeUp("made up", module, batches, step, lambda: {"dev_loss": float(ranks.rank())})
    optimiser, schedule = make_optimiser(
        [{"params": module.parameters(), "lr": 0.01}], 0.0, 4 * len(SIZES), 0.0, "constant"
    )
    curve, _ = train(objective, optimiser, schedule, 4, keep="last")
    return [value for weight in module.parameters() for value in weight.detach().flatten().tolist()], curve


def exchange() -> dict:
    """What the functions of `distributed` give in this process."""
    me = ranks.rank()
    ours, theirs = torch.arange(6.0).reshape(3, 2), torch.ones(3, 2)
    uneven = distributed.squared_error(*((ours, theirs) if me == 0 else (ours[:0], theirs[:0])), 3)
    return {
        "share": distributed.share(np.arange(5)).tolist(),
        "uneven": distributed.mean(uneven.detach()).item(),
        "mean": distributed.mean(torch.tensor([1.0, float("nan") if me else 2.0])).isnan().tolist(),
        "first": distributed.from_first({"rank": me}),
        "gathered": [one.tolist() for one in distributed.gather(torch.tensor([me, 7]))],
        "draws": torch.rand(2).tolist(),
    }


def main(folder: Path) -> None:
    """Run the plan. torchrun's own meeting place serves one group: for each part there is another."""
    plan = json.loads((folder / "plan.json").read_text())
    os.environ["TORCHELASTIC_USE_AGENT_STORE"] = "False"
    os.environ["MASTER_PORT"] = str(plan["ports"].pop())
    for stage, argv in plan["stages"]:
        importlib.import_module(f"clseave.stages.{stage}").main(argv)
        os.environ["MASTER_PORT"] = str(plan["ports"].pop())
    found = {}
    distributed.start(numerics.start_torch(0, "cpu"))
    found["weights"], found["curve"] = made_up()
    found |= exchange()
    try:
        made_up(bad=3)  # of the first batch: the second process's
    except UserError as error:
        found["error"] = str(error)
    distributed.stop()
    (folder / f"found-{ranks.rank()}.json").write_text(json.dumps(found))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
