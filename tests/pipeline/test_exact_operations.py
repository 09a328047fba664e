"""Operations whose results depend on the processor in spite of the numeric pins: none may run in a stage."""

import contextlib
import importlib
import json
import shlex
import subprocess
import sys
from collections import defaultdict
from pathlib import Path
from typing import Any

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from prove_exact import CPUS, EMULATOR, copy_sources, read_stages

OPERATIONS = Path(__file__).with_name("exact_operations.py")
APPROXIMATE = "computed from an approximation that each processor rounds its own way"
# ATen's names, with the reason of each; found by `exact_operations.py` on this processor and two emulated ones.
REFUSED = {
    "sqrt": f"{APPROXIMATE}: take `rsqrt`, a norm, or numpy's",
    "_foreach_sqrt": f"{APPROXIMATE}: AdamW calls it unless `fused=True`",
    "acos": APPROXIMATE,
    "asin": APPROXIMATE,
    "atan": f"{APPROXIMATE}: take `atan2`",
    "tan": f"{APPROXIMATE} in double precision",
    "log": f"{APPROXIMATE} in double precision: take `log_softmax`, or numpy's",
    "log10": f"{APPROXIMATE} in double precision",
    "logit": f"{APPROXIMATE} in double precision",
    "_cdist_forward": "ends in a square root: take products, or numpy",
    "_euclidean_dist": "ends in a square root: take products, or numpy",
}
# Without a deterministic kernel on a GPU, by the documentation of torch.use_deterministic_algorithms: they would stop a
# stage there. No machine with a GPU takes part in these tests.
NO_KERNEL = "a GPU has no deterministic kernel for it"
REFUSED |= dict.fromkeys(
    (
        "histc", "median", "nanmedian", "put", "nll_loss2d_forward", "nll_loss2d_backward", "_ctc_loss_backward",
        "avg_pool3d_backward", "_adaptive_avg_pool2d_backward", "_adaptive_avg_pool3d_backward",
        "adaptive_max_pool2d_backward", "fractional_max_pool2d_backward", "fractional_max_pool3d_backward",
        "max_unpool2d", "max_unpool3d", "grid_sampler_2d_backward", "grid_sampler_3d_backward",
        "reflection_pad1d_backward", "reflection_pad2d_backward", "reflection_pad3d_backward",
        "upsample_linear1d_backward", "upsample_bilinear2d_backward", "upsample_bicubic2d_backward",
        "upsample_trilinear3d_backward",
    ),
    NO_KERNEL,
)  # fmt: skip
# The same as `REFUSED` by the names of `exact_operations.py`.
MAY_DIFFER = {
    *(f"torch.{name} {kind}"
      for name in ("sqrt", "acos", "asin", "atan", "tan", "log", "log10", "logit", "cdist", "pow 0.5")
      for kind in ("float32", "float64")),
    *(f"AdamW {settings}" for settings in ({"foreach": True}, {"foreach": False})),
}  # fmt: skip


def reason(name: str, arguments: tuple[Any, ...]) -> str:
    """Why an operation may not run; empty where it may."""
    if name in ("pow", "_foreach_pow") and len(arguments) > 1 and arguments[1] == 0.5:
        return "the square root by another name"
    if name == "cumsum" and arguments[0].is_floating_point():
        return f"{NO_KERNEL}, unless it sums whole numbers"
    if name == "bincount" and len(arguments) > 1:
        return f"{NO_KERNEL} with weights"
    return REFUSED.get(name, "")


class Recorder(TorchDispatchMode):
    """Notes every operation of ATen that runs, forward and backward, and those that may not with their callers."""

    def __init__(self) -> None:
        super().__init__()
        self.stage = ""
        self.seen: dict[str, set[str]] = defaultdict(set)  # stages by operation
        self.refused: set[str] = set()

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):  # type: ignore[no-untyped-def]
        name = func.overloadpacket.__name__.removesuffix("_") if func.namespace == "aten" else func.name()
        self.seen[name].add(self.stage)
        if why := reason(name, args):
            self.refused.add(f"{self.stage}: {name}: {why}")
        return func(*args, **(kwargs or {}))


@pytest.mark.parametrize(
    ("call", "name"),
    [
        (lambda x: x.sqrt(), "sqrt"),
        (lambda x: x.sqrt_(), "sqrt"),
        (lambda x: x**0.5, "pow"),
        (lambda x: torch.pow(x, 0.5), "pow"),
        (lambda x: x.pow_(0.5), "pow"),
        (lambda x: torch.cdist(x, x), "_cdist_forward"),
        (lambda x: torch.cdist(torch.ones(30, 2), torch.ones(30, 2)), "_euclidean_dist"),
        (torch.acos, "acos"),
        (lambda x: x.cumsum(0), "cumsum"),
        (lambda x: torch.bincount(torch.ones(3, dtype=torch.long), x[0]), "bincount"),
        (lambda x: x.median(dim=1), "median"),
        (lambda x: torch.nn.functional.cross_entropy(x.view(1, 3, 3), torch.ones(1, 3).long()), "nll_loss2d_forward"),
    ],
)  # fmt: skip
def test_the_recorder_refuses(call, name) -> None:
    with Recorder() as recorder:
        call(torch.ones(3, 3))
    assert [entry.split(": ")[1] for entry in recorder.refused] == [name]


def test_the_recorder_lets_others_pass() -> None:
    whole = torch.arange(3)
    with Recorder() as recorder:
        for power in (2, -0.5, 0.25):
            torch.pow(torch.ones(3), power)
        (whole.cumsum(0), torch.bincount(whole), torch.rsqrt(torch.ones(3)), torch.ones(3).std())
        torch.nn.functional.cross_entropy(torch.ones(3, 3), whole)
    assert recorder.refused == set() and {"pow", "cumsum", "bincount", "rsqrt", "std"} <= set(recorder.seen)


def test_the_recorder_sees_the_backward_pass_and_the_optimiser() -> None:
    weights = torch.nn.Parameter(torch.ones(3, 3))
    with Recorder() as recorder:
        # The derivative of asin holds no asin; that of a vector's length has no root of its own.
        torch.asin(weights / 2).sum().backward()
        torch.optim.AdamW([weights], fused=False, foreach=False).step()
    assert {entry.split(": ")[1] for entry in recorder.refused} == {"asin", "sqrt"}
    with Recorder() as fused:
        torch.linalg.vector_norm(weights).backward()
        torch.optim.AdamW([weights], fused=True).step()
    assert fused.refused == set() and "_fused_adamw" in fused.seen


@pytest.mark.slow
def test_no_stage_runs_an_operation_that_depends_on_the_processor(repo_root: Path, tmp_path: Path) -> None:
    copy_sources(repo_root, tmp_path, "tiny", ["ja"])
    recorder = Recorder()
    for stage in read_stages(tmp_path):
        if stage.notebook:  # its kernel loads no torch
            continue
        words = shlex.split(stage.command)
        module = importlib.import_module(f"clseave.stages.{words[2]}")
        recorder.stage = stage.name
        with contextlib.chdir(tmp_path), recorder:
            module.main(words[3:])
    assert recorder.refused == set()
    assert {"_fused_adamw", "embedding_dense_backward", "native_layer_norm_backward", "convolution", "_softmax"} <= set(
        recorder.seen
    ), "the recorder saw no training"


def test_the_notebook_loads_no_torch(repo_root: Path) -> None:
    cells = json.loads((repo_root / "notebooks/report.ipynb").read_text())["cells"]
    code = "\n".join("".join(cell["source"]) for cell in cells if cell["cell_type"] == "code")
    imports = "\n".join(line for line in code.splitlines() if line.startswith(("import ", "from ")))
    check = f"{imports}\nimport sys; sys.exit('torch' in sys.modules)"
    assert imports and subprocess.run([sys.executable, "-c", check], cwd=repo_root, check=False).returncode == 0


@pytest.mark.slow
@pytest.mark.full
@pytest.mark.needs_package("qemu-user-static", EMULATOR)
def test_only_the_refused_operations_depend_on_the_processor(tmp_path: Path) -> None:
    commands = {"native": []} | {cpu: [EMULATOR, "-cpu", cpu] for cpu in CPUS}
    running = {
        name: subprocess.Popen(
            [*prefix, sys.executable, str(OPERATIONS), str(tmp_path / name)], stderr=subprocess.DEVNULL
        )
        for name, prefix in commands.items()
    }
    assert {name: process.wait(600) for name, process in running.items()} == dict.fromkeys(commands, 0)
    found = {name: json.loads((tmp_path / name).read_text()) for name in commands}
    assert len(found["native"]) > 200
    differ = {key for key, value in found["native"].items() if any(other[key] != value for other in found.values())}
    assert differ - MAY_DIFFER == set(), "refuse these in REFUSED, with the reason"
