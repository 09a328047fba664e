"""The scripts of examples/slurm, run as they are in real clones by a stand-in for `sbatch`: no cluster is needed."""

import re
import subprocess
import sys
from pathlib import Path

import pytest
from ruamel.yaml import YAML
from test_end_to_end import LANGUAGES, copy_sources, dvc, finished, hashes, run, stages_run  # noqa: F401  (a fixture)

ROOT = Path(__file__).resolve().parents[2]
SCRIPTS = ["../language.sh", *sorted(path.name for path in (ROOT / "examples/slurm").glob("*.s*"))]
LAST = [f"evaluate_clseave@tiny-{language}-0-rows0" for language in LANGUAGES]


@pytest.mark.parametrize("name", SCRIPTS)
def test_a_script_is_sound_shell_and_says_where_it_writes(name: str) -> None:
    path = ROOT / "examples/slurm" / name
    subprocess.run(["bash", "-n", path], check=True)
    text = path.read_text(encoding="utf-8")
    assert text.startswith("#!/bin/bash\n") and "set -euo pipefail" in text
    if name.endswith(".sbatch"):
        assert re.search(r"^#SBATCH --output=\.work/logs/slurm-", text, re.MULTILINE)
        last = text.rindex("#SBATCH")
        commands = re.search(r"^[^#\n]", text, re.MULTILINE)
        assert commands and commands.start() > last, "SLURM reads no option below the first command"


@pytest.mark.slow
@pytest.mark.full
def test_two_languages_in_clones_of_their_own_and_photos_in_shards_give_the_bytes_of_one_run(
    tmp_path: Path,
    finished: Path,  # noqa: F811
) -> None:
    root = tmp_path / "cluster"
    root.mkdir()
    copy_sources(ROOT, root)
    (tmp_path / "spool").mkdir()
    (tmp_path / "bin").mkdir()
    command = tmp_path / "bin" / "sbatch"
    command.write_text(f'#!/bin/sh\nexec "{sys.executable}" "{Path(__file__).with_name("sbatch.py")}" "$@"\n')
    command.chmod(0o755)
    path = f"{command.parent}:{Path(sys.executable).parent}:/usr/bin:/bin"
    output = run(
        root, "bash", "examples/slurm/submit.sh", "2", *LAST, env={"PATH": path, "SPOOL": str(tmp_path / "spool")}
    )
    assert output.startswith("jobs 1 2 3 4 5;")
    logs = {file.stem: file.read_text() for file in (root / ".work/logs").glob("slurm-*")}
    jobs = (tmp_path / "jobs.txt").read_text().splitlines()
    assert jobs == [
        "1 stages.sbatch  [0]",
        "2 shards.sbatch afterok:1 [0, 0]",
        "3 stages.sbatch afterany:2 [0]",
        "4 languages.sbatch afterok:3 [0, 0]",
        "5 stages.sbatch afterany:4 [0]",
    ], "\n".join(logs.values())
    found, wanted = hashes(root), hashes(finished)
    for number, language in enumerate(LANGUAGES, start=1):
        own = stages_run(logs[f"slurm-languages-4_{number}"])
        assert {f"clseave@tiny-{language}-0", LAST[number - 1]} <= own
        assert all(f"@tiny-{language}" in name for name in own), "what the languages share was there"
        assert found[f"models/tiny/clseave/{language}/seed0/model.safetensors"]
    assert stages_run(logs["slurm-stages-5"]) == set(), "all came from the cache"
    lists = {name for name in found if name.endswith(".gitignore")}  # DVC's own, of the outputs that it made
    assert {name for name in found.keys() - lists if wanted.get(name) != found[name]} == set()
    assert "1 of 1 batches are there" in logs["slurm-stages-3"]


@pytest.mark.parametrize("name", ["one_gpu", "languages"])
def test_a_task_for_skypilot_has_known_keys_and_sound_shell(name: str) -> None:
    """Its own loader was asked by hand (docs/SCALING.md): the package is too large to be a requirement."""
    task = YAML(typ="safe", pure=True).load(ROOT / "examples/sky" / f"{name}.yaml")
    assert set(task) == {"name", "resources", "workdir", "envs", "file_mounts", "setup", "run"}
    assert set(task["resources"]) == {"accelerators", "cpus", "memory", "disk_size"}
    for script in (task["setup"], task["run"]):
        subprocess.run(["bash", "-n", "-c", script], check=True)
        assert script.startswith("set -e\n")
    used = set(re.findall(r"\$\{?(PROFILE|PHOTOS|REMOTE)\b", str(task)))
    assert used == set(task["envs"])
    assert all((ROOT / path).exists() for path in re.findall(r"bash (examples/\S+)", task["run"]))
