"""The numeric pins and the one entry, in processes of their own."""

import os
import re
import subprocess
import sys

import pytest
import torch

from clseave.foundation.errors import UserError
from clseave.foundation.process import numerics
from settings import SETTINGS

HOSTILE = {"OMP_NUM_THREADS": "7", "MKL_CBWR": "AVX512", "ATEN_CPU_CAPABILITY": "default", "PYTHONHASHSEED": "5"}


def python(repo_root, *arguments, **environment):
    return subprocess.run(
        [sys.executable, *map(str, arguments)],
        cwd=repo_root,
        capture_output=True,
        text=True,
        env=os.environ | {"PYTHONPATH": str(repo_root / "src")} | environment,
        check=False,
    )


def run(repo_root, *arguments, **environment):
    return python(repo_root, "src/run.py", *arguments, **environment)


def test_pins_override_a_hostile_environment_and_reach_children(repo_root):
    code = (
        "import os, subprocess, sys; from clseave.foundation.process import numerics; numerics.pin(); "
        "assert not {'numpy', 'torch'} & set(sys.modules); "
        "print({name: os.environ[name] for name in numerics.PINS} == numerics.PINS); "
        "subprocess.run([sys.executable, '-c', 'import os; print(os.environ[\"MKL_CBWR\"])'])"
    )
    done = python(repo_root, "-c", code, **HOSTILE)
    assert done.stdout.split() == ["True", "COMPATIBLE"] or done.stdout.split() == ["COMPATIBLE", "True"], done.stderr


def test_pinning_after_numpy_raises(repo_root):
    done = python(
        repo_root, "-c", "import numpy; from clseave.foundation.process import numerics; numerics.pin()", **HOSTILE
    )
    assert done.returncode == 1 and "RuntimeError: numpy loaded before the numeric pins" in done.stderr


def test_pinning_again_is_harmless():
    numerics.pin()  # numpy and torch are loaded, but the environment is pinned already


@pytest.mark.parametrize("name", ["OMP_NUM_THREADS", "MKL_CBWR", "NPY_DISABLE_CPU_FEATURES"])
def test_a_pin_that_was_changed_after_torch_loaded_raises(monkeypatch, name):
    monkeypatch.setenv(name, "other")
    with pytest.raises(RuntimeError, match="torch"):
        numerics.pin()


def test_seeding_makes_torch_repeat_itself_on_one_thread():
    def draw(seed):
        assert numerics.start_torch(seed, "cpu") == torch.device("cpu")
        return torch.rand(3).tolist()

    assert draw(1) == draw(1) != draw(2)
    assert torch.get_num_threads() == 1 and not torch.backends.mkldnn.enabled
    assert torch.are_deterministic_algorithms_enabled()


def settings():
    """What torch is set to, and what cuBLAS will read."""
    cudnn = torch.backends.cudnn
    return (
        torch.are_deterministic_algorithms_enabled(),
        cudnn.deterministic,
        cudnn.benchmark,
        os.environ.get("CUBLAS_WORKSPACE_CONFIG"),
        numerics.kernels_used(),
    )


DETERMINISTIC = (True, True, False, ":4096:8", "deterministic")


@pytest.mark.parametrize("device", ["cpu", "auto"])
@pytest.mark.parametrize("kernels", ["deterministic", "fast"])
def test_the_cpu_is_always_deterministic(monkeypatch, device, kernels):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert numerics.start_torch(0, device, kernels) == torch.device("cpu")
    assert settings() == DETERMINISTIC


@pytest.mark.parametrize("device", ["cuda", "auto"])
def test_a_gpu_is_deterministic_unless_fast_kernels_are_asked_for(monkeypatch, device):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    assert numerics.start_torch(0, device) == torch.device("cuda")
    assert settings() == DETERMINISTIC
    assert numerics.start_torch(0, device, "fast") == torch.device("cuda")
    assert settings() == (False, False, True, None, "fast")
    # Single precision stays what it is: speed is bought with repetition, not with other numbers.
    assert not torch.backends.cuda.matmul.allow_tf32 and not torch.backends.cudnn.allow_tf32
    assert numerics.start_torch(0, device, "deterministic") == torch.device("cuda")
    assert settings() == DETERMINISTIC


def test_a_gpu_machine_told_to_use_its_cpu_is_deterministic(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    assert numerics.start_torch(0, "cpu", "fast") == torch.device("cpu")
    assert settings() == DETERMINISTIC


def test_cuda_without_a_gpu_is_the_users_mistake(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(UserError, match="device: found 'cuda', but torch sees no GPU"):
        numerics.start_torch(0, "cuda")


def test_the_workspace_of_cublas_is_set_before_torch_loads(repo_root):
    """The stages' entry sets it in a process that another value reached."""
    code = (
        "import os, sys; from clseave.foundation.process import numerics; numerics.pin(); "
        "assert 'torch' not in sys.modules; "
        "print(os.environ['CUBLAS_WORKSPACE_CONFIG']); numerics.start_torch(0, 'cpu', 'fast'); import torch; "
        "print(os.environ['CUBLAS_WORKSPACE_CONFIG'], torch.cuda.is_initialized(), numerics.kernels_used())"
    )
    done = python(repo_root, "-c", code, CUBLAS_WORKSPACE_CONFIG=":0:0")
    assert done.stdout.split() == [":4096:8", ":4096:8", "False", "deterministic"], done.stderr


def test_help_lists_the_stages_without_loading_torch(repo_root):
    done = run(repo_root, "--help")
    assert done.returncode == 0
    for stage in ("check", "prepare", "clseave", "evaluate"):
        assert re.search(rf"\b{stage}\b", done.stdout)


@pytest.mark.parametrize("arguments", [["nonsense"], ["__init__"], ["../check"]])
def test_an_unknown_stage_exits_with_2_and_lists_the_known_ones(repo_root, arguments):
    done = run(repo_root, *arguments)
    assert done.returncode == 2 and done.stdout == ""
    assert re.fullmatch(
        r"error: unknown name '.*'(; did you mean check\?)?; stages: .*check.*; commands: .*\n", done.stderr
    )


def test_no_stage_at_all_exits_with_2(repo_root):
    assert run(repo_root).returncode == 2


def test_a_users_mistake_is_one_line_and_exits_with_2(repo_root, tmp_path):
    (tmp_path / "params.yaml").write_text("profile: mini\nlr: fast\n")
    done = run(
        repo_root,
        "check",
        "--params",
        tmp_path / "params.yaml",
        "--profiles",
        SETTINGS / "profiles",
        "--out",
        tmp_path / "out",
    )
    assert done.returncode == 2 and done.stdout == ""
    assert done.stderr.startswith("error: ") and done.stderr.count("\n") == 1 and "Traceback" not in done.stderr
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("arguments", [["shard"], ["check", "--params", "params.yaml", "--nonsense", "1"]])
def test_wrong_arguments_exit_with_2_without_traceback(repo_root, arguments):
    done = run(repo_root, *arguments)
    assert done.returncode == 2 and "Traceback" not in done.stderr


def test_a_stage_runs_from_any_folder(repo_root, tmp_path):
    done = subprocess.run(
        [
            sys.executable,
            repo_root / "src" / "run.py",
            "check",
            "--params",
            SETTINGS / "params.yaml",
            "--profiles",
            SETTINGS / "profiles",
            "--out",
            "stamp",
        ],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
        env={"PATH": os.environ["PATH"], **HOSTILE},
    )
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "stamp").read_text() == "checked\n"


def test_the_entry_runs_the_code_it_belongs_to(repo_root, tmp_path):
    (tmp_path / "clseave").mkdir()
    (tmp_path / "clseave" / "__init__.py").write_text("raise SystemExit('another copy')")
    assert run(repo_root, "--help", PYTHONPATH=str(tmp_path)).returncode == 0
